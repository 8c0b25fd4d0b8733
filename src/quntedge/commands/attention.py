"""What waits for a person, on one page."""

import json
from typing import Annotated

import typer

from quntedge.commands.output import aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.edge.attention import ADVICE, Matter, matters
from quntedge.plan_changes import reviews

_TITLES = {
    "withdrawal_not_ended": "Withdrawn from, but goes on",
    "paid_after_the_end": "Paid after its end",
    "unpaid_and_unclear": "Unpaid, and Whop is unclear",
    "paid_twice": "Paid for twice",
    "change_unfinished": "Change not as shown",
    "status_unclear": "Status unclear",
    "process_stuck": "Process stuck",
}


def attention(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    done: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Take a change of plan off the list, because you have put it right."),
    ] = None,
) -> None:
    """Show what goes on no further without a person, and what to do about each. All but changes of plan leave the list
    by themselves when their cause is mended."""
    run(_attention(as_json) if done is None else _done(done))


async def _done(change_id: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        await reviews.settle(unit, change_id)
        await unit.commit()
    out().print(f"{change_id} waits for nobody any more. That you have seen to it is in the audit log.")


async def _attention(as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        found = await matters(unit.session, unit.clock.now())
    if as_json:
        out().print(json.dumps([_document(matter) for matter in found], indent=2))
        return
    if not found:
        aside("Nothing waits for a person.")
        return
    shown = table("What", "Since (UTC)", "About", "Customer", "Known of the cause")
    for matter in found:
        shown.add_row(
            _TITLES[matter.kind],
            moment(matter.since),
            matter.subject_id,
            matter.user_id or "",
            matter.detail or "",
        )
    show_table(shown)
    for kind in dict.fromkeys(matter.kind for matter in found):
        out().print(f"\n{_TITLES[kind]}: {ADVICE[kind]}")


def _document(matter: Matter) -> dict[str, str | None]:
    return {
        "kind": matter.kind.value,
        "subject": matter.subject_id,
        "user": matter.user_id,
        "subscription": matter.subscription_id,
        "since": matter.since.isoformat(),
        "detail": matter.detail,
        "advice": matter.advice,
    }


def register(cli: typer.Typer) -> None:
    """Adds the command to the command line."""
    cli.command()(attention)
