"""The audit log: what was done and denied, whether its chain holds, and anchors to keep elsewhere."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from quntedge.audit import queries
from quntedge.audit.models import AuditEvent
from quntedge.audit.queries import AuditFilter
from quntedge.audit.rules import LATE, Outcome
from quntedge.audit.verify import Anchor, Broken, Unsealed, Verification
from quntedge.commands.errors import FAILED, Explained
from quntedge.commands.output import CommandError, aside, complain, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.commands.times import parse_since
from quntedge.wiring import Runtime

app = typer.Typer(
    cls=Explained, no_args_is_help=True, help="The audit log: who did what, what was denied, and whether it is whole."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_(
    actor: Annotated[str | None, typer.Option(help="Only of this customer, key or operator.")] = None,
    holder: Annotated[str | None, typer.Option(help="Only of this person: staff:kim.")] = None,
    act: Annotated[str | None, typer.Option(help="Only this act, such as refund.approve.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only on what has this id or name.")] = None,
    outcome: Annotated[str | None, typer.Option(help="done or denied.")] = None,
    since: Annotated[str | None, typer.Option(help="From 2026-10-01, 2026-10-01T12:00Z, or 7d ago on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List acts, the latest first."""
    if outcome is not None and outcome not in tuple(Outcome):
        raise typer.BadParameter(f"{outcome!r} is neither done nor denied.")
    run(_list(AuditFilter(actor, holder, act, subject, outcome), since, until, limit, as_json))


@app.command()
def verify(
    anchor: Annotated[
        Path | None, typer.Option(help="An anchor that `quntedge audit anchor` wrote; the chain has to hold it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the whole chain. Exit code 1, and the first place that does not hold, when somebody changed it.

    Exit code 1 as well when something waits for its seal for too long, or has vanished before it got one.
    """
    run(_verify(None if anchor is None else _read(anchor), as_json))


@app.command()
def anchor(
    file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it to this file instead of printing it.")
    ] = None,
) -> None:
    """Print where the chain stands now. Keep it where nobody who can change the database can change it."""
    run(_anchor(file))


async def _list(which: AuditFilter, since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        now = unit.clock.now()
        span = {"since": _moment(since, now), "until": _moment(until, now)}
        wanted = AuditFilter(which.actor, which.holder, which.act, which.subject, which.outcome, **span)
        found = (await queries.find(unit.session, wanted, None, limit)).data
    if as_json:
        out().print(json.dumps([_document(row) for row in found], indent=2, ensure_ascii=False))
        return
    if not found:
        out().print("Nothing in the audit log matches.")
        return
    shown = table("Event", "At (UTC)", "Who", "Act", "On", "Outcome", "Details")
    for row in found:
        who = row.actor_id or row.actor_kind
        shown.add_row(
            row.id, moment(row.at), f"{who} ({row.holder})" if row.actor_kind == "api_key" and row.holder else who,
            row.act, row.subject_id or row.subject_kind or "–", f"denied: {row.code}" if row.code else row.outcome,
            ", ".join(f"{key} {value}" for key, value in row.details.items()) or "–",
        )  # fmt: skip
    show_table(shown)


async def _verify(kept: Anchor | None, as_json: bool) -> None:
    async with opened() as runtime:
        work = Verification(runtime.units)
        until = await work.newest()
        with counted("seals", until.number) as advance:
            async for count in work.walk(until, kept):
                advance(count)
        waiting = await work.unsealed()
        late = waiting.oldest_at is not None and runtime.clock.now() - waiting.oldest_at > LATE
    if as_json:
        _print_verdict(until, work.broken, waiting, late)
    else:
        _say_verdict(until, work.broken, waiting, kept)
    if late:
        aside("Something waits for its seal for more than 15 minutes: is a worker running?")
    if work.broken is not None or late or waiting.vanished:
        raise typer.Exit(FAILED)


def _say_verdict(until: Anchor, broken: Broken | None, waiting: Unsealed, kept: Anchor | None) -> None:
    if broken is not None:
        named = f" ({broken.event_id})" if broken.event_id else ""
        complain(f"the chain is broken at number {broken.number}{named}: {broken.what}.")
    elif until.number:
        with_anchor = "" if kept is None else f", and it holds the anchor at number {kept.number:,}"
        out().print(f"The chain holds from 1 to {until.number:,}{with_anchor}.")
        out().print(f"It ends with {until.hash.hex()}, sealed {moment(until.sealed_at)} UTC.")
    else:
        out().print("Nothing is sealed yet.")
    if waiting.count:
        out().print(f"{waiting.count:,} waiting for a seal, the oldest since {moment(waiting.oldest_at)} UTC.")
    if waiting.vanished:
        complain(f"{waiting.vanished:,} vanished before they were sealed.")


def _print_verdict(until: Anchor, broken: Broken | None, waiting: Unsealed, late: bool) -> None:
    verdict = {
        "newest": _anchor_document(until),
        "broken": None if broken is None else {"number": broken.number, "event": broken.event_id, "what": broken.what},
        "unsealed": {
            "count": waiting.count,
            "oldest_at": _text(waiting.oldest_at),
            "late": late,
            "vanished": waiting.vanished,
        },
    }
    out().print(json.dumps(verdict, indent=2))


async def _anchor(file: Path | None) -> None:
    async with opened() as runtime:
        newest = await _sealed(runtime)
    text = json.dumps(_anchor_document(newest), indent=2)
    if file is None:
        out().print(text)
        return
    _write(file, text + "\n")
    out().print(f"Number {newest.number:,}, sealed {moment(newest.sealed_at)} UTC, is in {file}.")


async def _sealed(runtime: Runtime) -> Anchor:
    """Where the chain ends, once everything that is there has its place."""
    await runtime.services.audit.keep()
    newest = await Verification(runtime.units).newest()
    if newest.number == 0:
        raise CommandError("there is nothing in the audit log yet.")
    return newest


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from None


def _read(file: Path) -> Anchor:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Anchor(int(document["number"]), bytes.fromhex(document["hash"]))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{file} is not an anchor: `quntedge audit anchor` writes one.") from None


def _anchor_document(at: Anchor) -> dict[str, Any]:
    return {"number": at.number, "hash": at.hash.hex(), "sealed_at": _text(at.sealed_at)}


def _document(row: AuditEvent) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "actor_kind": row.actor_kind,
        "actor": row.actor_id,
        "holder": row.holder,
        "act": row.act,
        "subject_kind": row.subject_kind,
        "subject": row.subject_id,
        "outcome": row.outcome,
        "code": row.code,
        "details": row.details,
        "request_id": row.request_id,
    }


def _moment(text: str | None, now: datetime) -> datetime | None:
    return None if text is None else parse_since(text, now)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="audit")
