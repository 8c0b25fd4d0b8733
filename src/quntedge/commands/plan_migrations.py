"""Moving subscribers to a new version of their plan: `quntedge subscriptions migrate`."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from quntedge.api.plan_migrations import MigrationOut, MigrationOutlookOut
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, complain, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.plan_migrations import queries
from quntedge.plan_migrations.queries import MigrationView
from quntedge.plan_migrations.rules import LONGEST_NOTICE_DAYS, NOTICE_DAYS
from quntedge.plan_migrations.service import Ask, Outlook, PlanMigrationService

_SHOWN = 20

_SKIPPED: Mapping[str, str] = {
    "not_sold": "pay in a currency that the new version is not sold in",
    "other_period": "have periods of another length",
    "special_price": "pay a special price",
    "ending": "have cancelled",
}

Plan = Annotated[str, typer.Argument(help="Code of the plan, as `quntedge catalog show` lists it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def migrate(
    plan: Plan,
    to_version: Annotated[int | None, typer.Option(help="Version to move to: the current one.")] = None,
    from_version: Annotated[int | None, typer.Option(help="Move only those who have this version.")] = None,
    notice_days: Annotated[
        int,
        typer.Option(
            min=NOTICE_DAYS, max=LONGEST_NOTICE_DAYS, help="Days between the notice of a higher price and the move."
        ),
    ] = NOTICE_DAYS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would move, and when.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take back what has not begun, and tell them.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say how far the plan's running migration is.")] = False,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Move the subscribers of earlier versions of a plan to its current version.

    They are told at once, and move when a period ends: at the end of the running one, or, where the price rises, of
    the first that ends after the notice. Until then they can cancel or change plans. Interrupted, run it again: it goes
    on where it stopped and tells nobody twice.
    """
    if dry_run + withdraw + status > 1:
        raise CommandError("Choose one of --dry-run, --withdraw and --status.")
    ask = Ask(plan, to_version, from_version, notice_days)
    if status:
        run(_status(plan, as_json))
    elif withdraw:
        run(_withdraw(plan, as_json, yes))
    else:
        run(_migrate(ask, dry_run, as_json, yes))


def migrations(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to list.")] = _SHOWN,
) -> None:
    """List migrations of subscribers to new versions of their plans, newest first."""
    run(_list(as_json, limit))


async def _migrate(ask: Ask, dry_run: bool, as_json: bool, yes: bool) -> None:
    async with opened("plan_migration.start", "plan", ask.plan_code) as runtime:
        service = runtime.services.plan_migrations
        found = await service.outlook(ask, _SHOWN)
        if dry_run and as_json:
            _print_json(MigrationOutlookOut.of(found).model_dump(mode="json"))
            return
        if not as_json:
            _say_outlook(found)
        if dry_run or not found.moving:
            return
        if not yes and not typer.confirm(f"Tell {_people(found.moving)}, and move them when their time has come?"):
            complain("nothing was changed.")
            raise typer.Exit(1)
        begun = await service.start(ask, by=operator())
        await _tell(service, begun.id, sum(group.moving for group in found.groups.values()))
        _say(await service.view(begun.id), as_json)


async def _withdraw(plan: str, as_json: bool, yes: bool) -> None:
    async with opened("plan_migration.withdraw", "plan", plan) as runtime:
        service = runtime.services.plan_migrations
        held = await service.running(plan)
        waiting = held.counts["waiting"] + held.counts["moving"]
        if not yes and not typer.confirm(f"Let {_people(waiting)} keep their terms, and tell them?"):
            complain("nothing was changed.")
            raise typer.Exit(1)
        taken = await service.withdraw(held.id, by=operator())
        await _tell(service, taken.id, waiting)
        _say(await service.view(taken.id), as_json)


async def _status(plan: str, as_json: bool) -> None:
    async with opened() as runtime:
        _say(await runtime.services.plan_migrations.running(plan), as_json)


async def _list(as_json: bool, limit: int) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.migrations(unit.session, None, limit)
    if as_json:
        _print_json([MigrationOut.of(view).model_dump(mode="json") for view in page.data])
        return
    if not page.data:
        out().print("No subscribers have been moved so far.")
        return
    shown = table(
        "Id", "Plan", "To version", "State", "Since (UTC)", "By", "Waiting", "Moving", "Moved", "Left", "Stay"
    )
    for view in page.data:
        counts = view.counts
        shown.add_row(
            view.id, view.plan_code, str(view.to_version), view.state, moment(view.created_at), view.requested_by,
            *(f"{counts[name]:,}" for name in ("waiting", "moving", "moved", "left")),
            f"{counts['withdrawn'] + counts['skipped']:,}",
        )  # fmt: skip
    show_table(shown)


async def _tell(service: PlanMigrationService, migration_id: str, total: int) -> None:
    """Tells subscribers portion by portion. Interrupted, a worker goes on."""
    try:
        with counted("subscribers", total) as advance:
            async for number in service.tell(migration_id):
                advance(number)
    except (KeyboardInterrupt, asyncio.CancelledError):
        aside("Interrupted; a worker goes on with it. `--withdraw` takes it back.")
        raise


def _say_outlook(found: Outlook) -> None:
    if not found.groups:
        out().print(f"Everybody who has {found.plan_code} has version {found.to_version} already.")
        return
    shown = table(
        "Version", "Now", f"Version {found.to_version}", "Subscribers", "First move (UTC)", "Stay as they are"
    )
    for key in sorted(found.groups):
        group = found.groups[key]
        new = group.example.new
        stay = ", ".join(f"{count:,} {_SKIPPED[reason]}" for reason, count in sorted(group.skipped.items()))
        shown.add_row(
            str(group.version), group.example.old.format(), "–" if new is None else new.format(),
            f"{group.moving:,}", moment(group.first_at), stay or "–",
        )  # fmt: skip
    show_table(shown)
    if found.sample:
        out().print()
        out().print(f"The first {len(found.sample)}:" if found.moving > len(found.sample) else "They are:")
        listed = table("Subscription", "Status", "Now", "Then", "Moves from (UTC)")
        for one in found.sample:
            new_price = "–" if one.new is None else one.new.format()
            listed.add_row(one.subscription_id, one.status, one.old.format(), new_price, moment(one.expected_at))
        show_table(listed)
    if any(group.moving and group.example.rises for group in found.groups.values()):
        out().print(f"Those whose price rises are told {found.notice_days} days ahead or earlier.")


def _say(view: MigrationView, as_json: bool) -> None:
    if as_json:
        _print_json(MigrationOut.of(view).model_dump(mode="json"))
        return
    out().print(f"{view.id}: {view.plan_code} to version {view.to_version}, {view.state}, by {view.requested_by}")
    for name, number in view.counts.items():
        if number:
            out().print(f"  {name:<10} {number:,}")
    for reason, number in sorted(view.reasons.items()):
        out().print(f"  {number:,} of them: {reason.replace('_', ' ')}")
    if view.next_move_at is not None:
        out().print(f"Next move: {moment(view.next_move_at)} UTC.")


def _print_json(value: Any) -> None:
    out().print(json.dumps(value, indent=2))


def _people(count: int) -> str:
    return "1 subscriber" if count == 1 else f"{count:,} subscribers"


def add_to(app: typer.Typer) -> None:
    """Adds these commands to those about subscriptions."""
    app.command()(migrate)
    app.command()(migrations)
