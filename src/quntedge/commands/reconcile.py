"""Whether Whop, our records and the ledger agree: compare, look at what differs, explain it, close months."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Row

from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, moment, out, print_json, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import shared
from quntedge.commands.running import opened, run
from quntedge.commands.times import parse_since
from quntedge.kit.money import Money
from quntedge.reconciliation import queries, runs
from quntedge.reconciliation.errors import InvalidWindow
from quntedge.reconciliation.queries import OPEN, Filter
from quntedge.reconciliation.report import Report, html_of, report_of
from quntedge.reconciliation.rules import BY_HAND, CAUSES, FEES_KNOWN_AFTER, Stage, bounds_of
from quntedge.reconciliation.settling import Verdict
from quntedge.wiring import Runtime

DIFFERS = 2
"""Exit code when something is still to be explained."""

_LOOK_EVERY = 1.0
_READING = {
    Stage.PAYMENTS: "reading payments",
    Stage.REFUNDS: "reading refunds",
    Stage.MOVEMENTS: "reading movements",
    Stage.PAYOUTS: "reading payouts",
    Stage.OLDER: "looking at older ones",
    Stage.COMPARE: "comparing",
}

app = typer.Typer(
    cls=Explained,
    invoke_without_command=True,
    help="Compare money between Whop, our records and the ledger. Exit code 2 while something is unexplained.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, amounts in minor units.")]


@app.callback()
def reconcile(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option(help="Everything created since: 2026-10-01, 2026-10-01T12:00Z, or 7d ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="And before; by default until a few minutes ago.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a range, mend what can be mended, and show what is left. An interrupted comparison is ended first."""
    if context.invoked_subcommand is not None:
        return
    if since is None:
        raise typer.BadParameter("give the beginning of the range with --since, or one of the commands below.")
    run(_reconcile(since, until, as_json))


@app.command()
def differences(
    state: Annotated[
        str, typer.Option(help=f"{OPEN}, repaired, {', '.join(BY_HAND)}, or all.", show_default=True)
    ] = OPEN,
    cause: Annotated[str | None, typer.Option(help=f"One of {', '.join(CAUSES)}.")] = None,
    period: Annotated[str | None, typer.Option(help="Only of one month, such as 2026-10.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List differences, the oldest first."""
    run(_differences(state, cause, period, limit, as_json))


@app.command()
def show(
    difference_id: Annotated[str, typer.Argument(help="Id of the difference, mdf_…")], as_json: Json = False
) -> None:
    """Show one difference."""
    run(_show(difference_id, as_json))


@app.command()
def resolve(
    difference_id: Annotated[str, typer.Argument(help="Id of the difference, mdf_…")],
    as_: Annotated[
        str, typer.Option("--as", help="explained, adjusted (somebody else has to approve) or accepted (a loss).")
    ],
    note: Annotated[str, typer.Option(help="Why, in a sentence.")],
) -> None:
    """Say what became of a difference. It is not found again unless something about it changes."""
    run(_resolve(difference_id, Verdict(as_, note, operator())))


@app.command()
def approve(
    difference_id: Annotated[str, typer.Argument(help="Id of the difference, mdf_…")],
) -> None:
    """Approve of an adjustment that somebody else proposed: it is posted to the ledger."""
    run(_decide(difference_id, operator(), agreed=True))


@app.command()
def reject(
    difference_id: Annotated[str, typer.Argument(help="Id of the difference, mdf_…")],
) -> None:
    """Turn a proposed adjustment down; the difference stays open."""
    run(_decide(difference_id, operator(), agreed=False))


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20, as_json: Json = False
) -> None:
    """List comparisons, the newest first."""
    run(_list(limit, as_json))


@app.command()
def close(
    period: Annotated[str, typer.Argument(help="The month, such as 2026-10.")],
) -> None:
    """Compare a whole month and close it. Refused while anything of it is unexplained."""
    run(_close(period, operator()))


@app.command()
def report(
    out_file: Annotated[Path, typer.Option("--out", help="Where to write the page.", dir_okay=False, writable=True)],
    run_id: Annotated[str | None, typer.Option("--run", help="The comparison; by default the last one.")] = None,
) -> None:
    """Write a comparison as a page for the browser or the printer."""
    run(_report(out_file, run_id))


def _write(out_file: Path, found: Report) -> None:
    out_file.write_text(html_of(found), "utf-8")
    out().print(f"{out_file} shows {found.run.id}.")


async def _reconcile(since: str, until: str | None, as_json: bool) -> None:
    async with opened() as runtime:
        now = runtime.clock.now()
        begin, end = parse_since(since, now), None if until is None else parse_since(until, now)
        found = await _report_of(runtime, await _compare(runtime, begin, end))
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    if not found.agrees:
        raise typer.Exit(DIFFERS)


async def _compare(runtime: Runtime, since: datetime, until: datetime | None) -> str:
    """A whole run, after whatever was left unfinished; its id."""
    service = runtime.services.reconciliation.service
    async with runtime.units() as unit:
        left = await queries.running(unit)
    if left is not None:
        aside(f"The comparison {left.id} was begun and is not done: it is ended first.")
        await _follow(runtime, left.id)
    run_id = await service.begin(since, until, trigger="manual", requested_by=operator())
    await _follow(runtime, run_id)
    return run_id


async def _follow(runtime: Runtime, run_id: str) -> None:
    """Works on a run, and waits where it has to, until it is over. Raises `CommandError` when it failed."""
    told: str | None = None
    with shared("Comparing") as advance:
        while True:
            row = await runtime.services.reconciliation.service.work(
                run_id, lambda stage, share, rows: advance(share, f"{_READING[stage]}, {rows:,} rows read")
            )
            if row.state != "running":
                break
            if (why := _waits_for(row)) != told:
                told = why
                aside(why)
            await asyncio.sleep(_LOOK_EVERY)
    if row.state == "failed":
        raise CommandError(f"The comparison {run_id} was interrupted too often; the last reason was {row.error}.")


def _waits_for(row: Row[Any]) -> str:
    if row.resume_at is not None:
        return f"It waits until {moment(row.resume_at)} UTC, because of {row.error}."
    # Each sign of life moves that time on: it would be another sentence every second.
    return "Another process works on it. Should that have been killed, this one takes over within five minutes."


async def _report_of(runtime: Runtime, run_id: str) -> Report:
    async with runtime.units() as unit:
        return await report_of(unit, run_id, runtime.settings.product_name)


def _print(found: Report) -> None:
    sides = table("Measure", "Currency", "Objects", "Gateway", "Moved", "Records", "Ledger", "Unexplained")
    for row in found.sums:
        sides.add_row(
            row.measure.replace("_", " "),
            row.currency.upper(),
            f"{row.objects:,}",
            _amount(row.gateway_minor, row.currency),
            _amount(row.moved_minor, row.currency),
            _amount(row.recorded_minor, row.currency),
            _amount(row.ledger_minor, row.currency),
            _amount(row.unexplained_minor, row.currency),
        )
    show_table(sides)
    if not found.run.feed_read:
        aside("Whop does not let this key read its movements: fees and disputes were not compared with it.")
    took = timedelta(milliseconds=found.run.worked_milliseconds).total_seconds()
    out().print(
        f"\n{found.run.id}: {found.run.compared:,} objects compared, {found.run.rows_read:,} rows read,"
        f" {found.run.found:,} found, {found.run.repaired:,} mended, {took:.1f} s."
    )
    if not found.causes:
        out().print("Nothing is unexplained.")
        return
    causes = table("Cause", "Currency", "Open", "Net", "Whatever the sign")
    for cause in found.causes:
        causes.add_row(
            cause.cause.replace("_", " "),
            cause.currency.upper(),
            f"{cause.count:,}",
            _amount(cause.amount_minor, cause.currency),
            _amount(cause.gross_minor, cause.currency),
        )
    out().print()
    show_table(causes)
    out().print("`quntedge reconcile differences` lists them.")


async def _differences(state: str, cause: str | None, period: str | None, limit: int, as_json: bool) -> None:
    known = (OPEN, "repaired", *BY_HAND, "all")
    if state not in known:
        raise typer.BadParameter(f"{state!r} is no state; write one of {', '.join(known)}.")
    if cause is not None and cause not in CAUSES:
        raise typer.BadParameter(f"{cause!r} is no cause; write one of {', '.join(CAUSES)}.")
    if period is not None:
        _bounds(period)
    async with opened() as runtime, runtime.units() as unit:
        which = Filter(state=None if state == "all" else state, cause=cause, period=period)
        page = await queries.differences(unit, which, None, limit)
        now = runtime.clock.now()
    if as_json:
        print_json([dict(row._mapping) for row in page.data])
        return
    if not page.data:
        out().print("No difference matches.")
        return
    shown = table("Difference", "Cause", "Measure", "Object", "Amount", "Days", "Owner", "State")
    for row in page.data:
        shown.add_row(
            row.id, row.cause, row.measure, row.object_id, str(Money(row.amount_minor, row.currency)),
            str((now - row.first_seen_at).days), row.owner, row.resolution or ("proposed" if row.proposed_by else OPEN),
        )  # fmt: skip
    show_table(shown)


async def _show(difference_id: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await queries.difference(unit, difference_id)
    if as_json:
        print_json(dict(row._mapping))
    else:
        _print_one(row)


async def _resolve(difference_id: str, verdict: Verdict) -> None:
    async with opened("reconciliation.resolve", "money_difference", difference_id) as runtime, runtime.units() as unit:
        row = await runtime.services.reconciliation.settling.resolve(unit, difference_id, verdict)
        await unit.commit()
    if row.resolution is None:
        out().print(f"Somebody else has to approve now: `quntedge reconcile approve {row.id}`.")
        return
    out().print(f"{row.id} is {row.resolution}.")


async def _decide(difference_id: str, by: str, *, agreed: bool) -> None:
    act = "reconciliation.approve" if agreed else "reconciliation.reject"
    async with opened(act, "money_difference", difference_id) as runtime, runtime.units() as unit:
        settling = runtime.services.reconciliation.settling
        row = await (settling.approve if agreed else settling.reject)(unit, difference_id, by)
        await unit.commit()
    out().print(f"{row.id} is {row.resolution or OPEN}.")


async def _list(limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.runs(unit, None, limit)
    if as_json:
        print_json([dict(row._mapping) for row in page.data])
        return
    if not page.data:
        out().print("Nothing has been compared yet.")
        return
    shown = table("Comparison", "Begun (UTC)", "State", "From", "Until", "Compared", "Found", "Mended", "By")
    for row in page.data:
        shown.add_row(
            row.id, moment(row.started_at), row.state if row.state != "running" else row.stage, moment(row.since),
            moment(row.until), f"{row.compared:,}", f"{row.found:,}", f"{row.repaired:,}", row.requested_by,
        )  # fmt: skip
    show_table(shown)


async def _close(period: str, by: str) -> None:
    since, until = _bounds(period)
    async with opened("reconciliation.close_period", "period", period) as runtime:
        ready = until + FEES_KNOWN_AFTER
        if runtime.clock.now() < ready:
            raise CommandError(f"{period} can be closed from {ready.astimezone(UTC):%Y-%m-%d} on: fees come later.")
        await _compare(runtime, since, until)
        async with runtime.units() as unit:
            await runtime.services.reconciliation.settling.close(unit, period, by)
            await unit.commit()
    out().print(f"{period} is closed.")


def _bounds(period: str) -> tuple[datetime, datetime]:
    try:
        return bounds_of(period)
    except ValueError as error:
        raise InvalidWindow("A period is a month such as 2026-10.") from error


async def _report(out_file: Path, run_id: str | None) -> None:
    async with opened() as runtime:
        async with runtime.units() as unit:
            if run_id is None:
                newest = (await queries.runs(unit, None, 1)).data
                if not newest:
                    raise CommandError("Nothing has been compared yet; `quntedge reconcile --since …` does.")
                run_id = newest[0].id
            await runs.get(unit, run_id)
        found = await _report_of(runtime, run_id)
    _write(out_file, found)


def _print_one(row: Row[Any]) -> None:
    sides = {
        "gateway": _amount(row.gateway_minor, row.currency),
        "moved": _amount(row.moved_minor, row.currency),
        "records": _amount(row.recorded_minor, row.currency),
        "ledger": _amount(row.ledger_minor, row.currency),
    }
    facts = {
        "difference": row.id,
        "object": f"{row.object_kind} {row.object_id}",
        "payment": row.transaction_id,
        "cause": row.cause,
        "detail": row.detail,
        "measure": row.measure,
        **sides,
        "amount": str(Money(row.amount_minor, row.currency)),
        "month": row.period,
        "seen first": moment(row.first_seen_at),
        "seen last": moment(row.last_seen_at),
        "owner": row.owner,
        "state": row.resolution or OPEN,
        "resolved": row.resolved_at and f"{moment(row.resolved_at)} by {row.resolved_by}",
        "proposed": row.proposed_by and f"to adjust it, {moment(row.proposed_at)} by {row.proposed_by}",
        "note": row.note,
    }
    for name, value in facts.items():
        if value:
            out().print(f"{name:<12} {value}")


def _document(found: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "run": dict(found.run._mapping),
        "agrees": found.agrees,
        "sums": [dict(row._mapping) for row in found.sums],
        "open": [asdict(cause) for cause in found.causes],
    }


def _amount(minor: int | None, currency: str) -> str:
    return "–" if minor is None else Money(minor, currency).to_major_text()


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="reconcile")
