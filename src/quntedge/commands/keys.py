"""The secrets that are ours to make: fresh ones, what depends on which, and moving it to a new one."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from quntedge.audit.writing import audit_done
from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, out, show, table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.kit.clock import SystemClock
from quntedge.kit.crypto import KeyRing, new_key, random_token
from quntedge.schema import KEY_STORES
from quntedge.settings import load_settings
from quntedge.storage.engine import create_engine
from quntedge.storage.keys import KeyStore, count
from quntedge.storage.keys import rewrap as rewrap_store
from quntedge.wiring import database

MISSING = 2
"""Exit code of `status` when a key is needed that the settings do not have."""

app = typer.Typer(
    cls=Explained,
    invoke_without_command=True,
    help="Fresh secrets for a `.env` file; which encryption key is needed for what, and moving it to a new one.",
)


def fresh_keys(name: str) -> dict[str, str]:
    """A new value for each secret that is ours to make, by its environment name. `name` names the encryption key."""
    return {
        "QUNTEDGE_SECRET_KEY": random_token(48),
        "QUNTEDGE_ENCRYPTION_KEYS": f"{name}:{base64.b64encode(new_key()).decode()}",
    }


@app.callback()
def keys(context: typer.Context) -> None:
    """Print fresh secrets, ready for a `.env` file. Needs no settings and changes nothing."""
    if context.invoked_subcommand is None:
        for variable, value in fresh_keys(f"k{SystemClock().now():%Y%m%d}").items():
            out().print(f"{variable}={value}")


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a master key is needed for: how many keys of each table it has wrapped."""

    name: str
    configured: bool
    current: bool
    wraps: Mapping[str, int]

    @property
    def needed(self) -> bool:
        """Whether something could not be opened without it."""
        return any(self.wraps.values())

    @property
    def standing(self) -> str:
        """In words."""
        if not self.configured:
            return "missing"
        if self.current:
            return "current"
        return "still needed" if self.needed else "can be removed"


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what depends on which encryption key. Exit code 2 when one is needed that the settings do not have.

    A key that nothing depends on can be taken out of QUNTEDGE_ENCRYPTION_KEYS. Keep it for as long as you keep backups
    from its time.
    """
    run(_status(as_json))


async def _status(as_json: bool) -> None:
    settings = load_settings()
    ring = settings.key_ring()
    with database(settings) as url:
        engine = create_engine(url, pool_size=2)
        try:
            async with engine.connect() as connection:
                found = {store.table: await count(connection, store) for store in KEY_STORES}
        finally:
            await engine.dispose()
    uses = _uses(ring, found)
    if as_json:
        rows = [{"key": use.name, "standing": use.standing, "wraps": dict(use.wraps)} for use in uses]
        out().print(json.dumps({"keys": rows}))
    else:
        _show(uses)
    if any(not use.configured for use in uses):
        raise typer.Exit(MISSING)


def _uses(ring: KeyRing, found: Mapping[str, Mapping[str, int]]) -> list[KeyUse]:
    """The configured keys in their order, then those that are missing."""
    others = sorted({name for counts in found.values() for name in counts} - set(ring.names))
    return [
        KeyUse(
            name,
            configured=name in ring.names,
            current=name == ring.current,
            wraps={store: counts.get(name, 0) for store, counts in found.items()},
        )
        for name in (*ring.names, *others)
    ]


def _show(uses: list[KeyUse]) -> None:
    shown = table("Key", "Standing", *(store.title.capitalize() for store in KEY_STORES))
    for use in uses:
        shown.add_row(use.name, use.standing, *(f"{use.wraps[store.table]:,}" for store in KEY_STORES))
    show(shown)
    for use in uses:
        if not use.configured:
            aside(f"Put {use.name} back into QUNTEDGE_ENCRYPTION_KEYS, behind the others: nothing else opens these.")
        elif use.standing == "still needed":
            aside(f"`quntedge keys rewrap` moves to {uses[0].name} what {use.name} has wrapped.")


@app.command()
def rewrap() -> None:
    """Wrap everything anew under the first of QUNTEDGE_ENCRYPTION_KEYS, next to a running product.

    It can be stopped at any time and begun again. Personal data itself is not touched: only the keys that open it are.
    """
    run(_rewrap())


async def _rewrap() -> None:
    async with opened() as runtime:
        ring = runtime.settings.key_ring()
        moved, damaged = 0, 0
        for store in KEY_STORES:
            async with runtime.engine.connect() as connection:
                total = _to_move(ring, await count(connection, store))
            with counted(store.title, total) as advance:
                done = await rewrap_store(runtime.engine, ring, store, advance)
            _tell(store, done.moved)
            moved, damaged = moved + done.moved, damaged + done.damaged
        if moved:
            async with runtime.units() as unit:
                audit_done(unit, "encryption_key.rewrap", "encryption_key", ring.current, moved=moved)
                await unit.commit()
    if damaged:
        raise CommandError(
            f"{damaged:,} wrapped keys are damaged and were left as they are; restore them from a backup."
        )


def _to_move(ring: KeyRing, counts: Mapping[str, int]) -> int:
    return sum(keys for name, keys in counts.items() if name != ring.current)


def _tell(store: KeyStore, moved: int) -> None:
    out().print(f"{store.title}: {moved:,} moved." if moved else f"{store.title}: nothing to move.")


def register(to: typer.Typer) -> None:
    """Adds these commands."""
    to.add_typer(app, name="keys")
