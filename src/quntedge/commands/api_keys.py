"""Keys with which the servers of host applications call us."""

from typing import Annotated

import typer

from quntedge.accounts.api_keys import DEFAULT_SCOPES, SCOPES
from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator_name
from quntedge.commands.output import aside, moment, out, print_json, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run

app = typer.Typer(cls=Explained, no_args_is_help=True, help="API keys for the servers of host applications.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, so that it is recognised later.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(SCOPES)}; may be repeated. By default {' and '.join(DEFAULT_SCOPES)}."),
    ] = None,
    holder: Annotated[
        str | None,
        typer.Option(help="Short name of whoever will use it and answers for it. By default you, the user here."),
    ] = None,
) -> None:
    """Make a key. Its text is shown once and kept nowhere.

    Two keys of one holder are one person: what was asked for with the one cannot be approved with the other.
    """
    run(_create(name, scope or list(DEFAULT_SCOPES), holder or operator_name()))


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """List all keys, the revoked ones too, newest first."""
    run(_list(as_json))


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="Id of the key, key_… as `list` shows it.")]) -> None:
    """End a key at once."""
    run(_revoke(key_id))


async def _create(name: str, scopes: list[str], holder: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        key, text = await runtime.services.api_keys.create(unit, name, scopes, holder=holder)
        await unit.commit()
    out().print(text)
    aside(f"{key.id}, held by {key.holder}, for {', '.join(key.scopes)}. Copy it now: it is not shown again.")


async def _list(as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        keys = await runtime.services.api_keys.list(unit)
    if as_json:
        told = ("id", "name", "holder", "hint", "scopes", "created_at", "revoked_at")
        print_json([{name: getattr(key, name) for name in told} for key in keys])
        return
    if not keys:
        out().print("There is no key yet; `quntedge api-key create NAME` makes one.")
        return
    shown = table("Id", "Name", "Holder", "Key", "Scopes", "Made (UTC)", "Revoked (UTC)")
    for key in keys:
        shown.add_row(
            key.id, key.name, key.holder or "–", key.hint, ", ".join(key.scopes), moment(key.created_at),
            moment(key.revoked_at),
        )  # fmt: skip
    show_table(shown)


async def _revoke(key_id: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        key = await runtime.services.api_keys.revoke(unit, key_id)
        await unit.commit()
    out().print(f"{key.id} ({key.name}) is revoked.")


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="api-key")
