"""Subscriptions: what one is and was, and whether all of them are what their histories say."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import select

from quntedge.commands import plan_migrations
from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, complain, moment, out, print_json, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.subscriptions.models import Subscription, SubscriptionEvent
from quntedge.subscriptions.rebuild import Checked, Finding, Rebuild

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Subscriptions and their histories.")

_UNKNOWN = "There is no subscription {}; its id begins with sub_."


@app.command()
def show(
    subscription_id: Annotated[str, typer.Argument(help="Id of the subscription, sub_…")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show a subscription and everything that happened to it."""
    run(_show(subscription_id, as_json))


@app.command()
def rebuild(
    verify: Annotated[bool, typer.Option("--verify", help="Only compare; exit code 1 when something differs.")] = False,
    subscription: Annotated[str | None, typer.Option("--subscription", help="Only this one.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Compare every subscription with its history, and make those that differ what it says."""
    run(_rebuild(verify, subscription, yes))


async def _show(subscription_id: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await unit.session.get(Subscription, subscription_id)
        if row is None:
            raise CommandError(_UNKNOWN.format(subscription_id))
        events = await unit.session.scalars(
            select(SubscriptionEvent)
            .where(SubscriptionEvent.subscription_id == subscription_id)
            .order_by(SubscriptionEvent.version)
        )
        history = events.all()
    if as_json:
        print_json({"subscription": _columns(row), "events": [_columns(event) for event in history]})
        return
    for column in Subscription.__table__.columns:
        value = getattr(row, column.name)
        if value is not None:
            out().print(f"{column.name:<21} {_shown(value)}")
    out().print()
    shown = table("No.", "At (UTC)", "What", "Who", "Cause", "Changed")
    for event in history:
        shown.add_row(
            str(event.version), moment(event.at), event.kind.partition(".")[2], event.actor, event.cause,
            _changed(event),
        )  # fmt: skip
    show_table(shown)


def _columns(row: Subscription | SubscriptionEvent) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}


def _shown(value: Any) -> str:
    return moment(value) if hasattr(value, "strftime") else str(value)


def _changed(event: SubscriptionEvent) -> str:
    """What is not as it was before; of the first entry, which tells everything, the status."""
    if event.before is None:
        return f"status {event.after.get('status')}"
    fields = [name for name, value in event.after.items() if event.before.get(name) != value]
    return ", ".join(f"{name} {event.after[name]}" for name in fields)


async def _rebuild(verify: bool, subscription_id: str | None, yes: bool) -> None:
    async with opened() as runtime:
        work = Rebuild(runtime.engine, runtime.units)
        total = 1 if subscription_id else await work.count()
        checked, findings, hopeless = await _compare(work, total, subscription_id)
        if subscription_id and not checked:
            raise CommandError(_UNKNOWN.format(subscription_id))
        out().print(_summary(checked, findings))
        if not findings:
            return
        if verify:
            raise typer.Exit(1)
        if findings > hopeless:
            if not yes and not typer.confirm(f"Make {findings - hopeless} what the history says?"):
                complain("nothing was changed.")
                raise typer.Exit(1)
            out().print(f"{await _repair(work, total, subscription_id)} made anew.")
        if hopeless:
            complain(f"{hopeless} cannot be made anew: their histories do not tell everything.")
            raise typer.Exit(1)


async def _compare(work: Rebuild, total: int, subscription_id: str | None) -> tuple[int, int, int]:
    """How many were compared, how many differ, and for how many of those there is no help."""
    checked = findings = hopeless = 0
    with counted("subscriptions", total) as advance:
        async for portion in work.verify(subscription_id):
            checked += portion.count
            findings += len(portion.findings)
            hopeless += sum(not finding.repairable for finding in portion.findings)
            _print(portion.findings)
            advance(portion.count)
    return checked, findings, hopeless


async def _repair(work: Rebuild, total: int, subscription_id: str | None) -> int:
    """Portion by portion, so that neither memory nor a transaction grows with their number."""
    repaired = 0
    with counted("subscriptions", total) as advance:
        async for portion in work.verify(subscription_id):
            repaired += len(await work.repair(_repairable(portion)))
            advance(portion.count)
    return repaired


def _repairable(portion: Checked) -> list[str]:
    return [finding.subscription_id for finding in portion.findings if finding.repairable]


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        for difference in finding.differences:
            row, history = difference.row or "–", difference.history or "–"
            out().print(f"{finding.subscription_id}  {difference.field}: {row} here, {history} in the history")


def _summary(checked: int, findings: int) -> str:
    those = "1 subscription" if checked == 1 else f"{checked:,} subscriptions"
    if not findings:
        return f"{those} compared: {'it is' if checked == 1 else 'all are'} what the history says."
    return f"{those} compared: {findings:,} {'differs' if findings == 1 else 'differ'}."


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    plan_migrations.add_to(app)
    parent.add_typer(app, name="subscriptions")
