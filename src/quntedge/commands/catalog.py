"""The catalogue: what is on sale, what a file would change, and changing it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from quntedge.catalog import toml
from quntedge.catalog.gateway_sync import OnStep, SyncReport
from quntedge.catalog.outlook import CatalogDiff, Subscribers
from quntedge.catalog.rules import CatalogFile, Change, PlanSpec
from quntedge.catalog.service import CatalogService
from quntedge.catalog.versions import GatewayStep, PriceRef, Terms
from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import aside, complain, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.promotions import say_promo_sync
from quntedge.commands.running import opened, run
from quntedge.gateway.errors import GatewayError
from quntedge.promotions import file as promotion_file
from quntedge.promotions.sync import Pending
from quntedge.wiring import Runtime

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Plans, features and prices.")

DIFFERENT = 2
"""Exit code of `diff` when there are differences; 1 is an error, as with other programs that compare."""

File = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, help="A catalogue in TOML; without it, the one that comes along."),
]


@app.command()
def show(
    archived: Annotated[
        bool, typer.Option("--archived", help="Show what is not sold any more, too: plans and versions.")
    ] = False,
) -> None:
    """List the plans: versions, prices, where they are at Whop, and how many subscribers each version has.

    Earlier versions are listed as long as somebody has them.
    """
    run(_show(archived))


@app.command()
def diff(file: File = None) -> None:
    """Say what `apply` would change here and at Whop, and whom it concerns. Changes nothing.

    Exit code 0: there is nothing to do; 2: there are differences; 1: the file cannot be used.
    """
    run(_diff(_read(file)))


@app.command()
def apply(
    file: File = None,
    sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Bring Whop up to date as well.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Show what would change, ask, make the database say what the file says, then bring Whop up to date.

    Should Whop fail on the way, run it again: it goes on where it stopped and makes nothing twice.
    """
    run(_apply(_read(file), sync, yes))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the file says."""

    catalog: CatalogFile
    promotions: tuple[promotion_file.Listed, ...]


def _read(file: Path | None) -> _Wanted:
    catalog = toml.packaged() if file is None else toml.load(file)
    listed = promotion_file.packaged(catalog) if file is None else promotion_file.load(file, catalog)
    return _Wanted(catalog, listed)


async def _show(archived: bool) -> None:
    async with opened() as runtime:
        held = await runtime.catalog.current()
        subscribers = await runtime.catalog.subscribers()
    if not held.plans:
        out().print("The catalogue is empty; `quntedge catalog apply` fills it.")
        return
    shown = table("Code", "Name", "Version", "Price", "Period", "Trial", "Grace", "Subscribers", "At Whop", "Features")
    for plan in held.plans.values():
        for row in _rows(plan, held, subscribers, archived):
            shown.add_row(*row)
    show_table(shown)


def _rows(plan: PlanSpec, held: CatalogFile, subscribers: Subscribers, archived: bool) -> Iterator[tuple[str, ...]]:
    total = sum(count for (code, _), count in subscribers.items() if code == plan.code)
    if plan.archived and not (archived or total):
        return
    name, features = (f"{plan.name} (archived)" if plan.archived else plan.name), _features(plan, held)
    for terms in sorted(plan.history, key=lambda one: (one.version, one.currency != plan.currency, one.currency)):
        count = subscribers.get((plan.code, terms.version), 0)
        if terms.retired and not (archived or count):
            continue
        yield (
            plan.code, name, f"{terms.version}{' (earlier)' if terms.retired else ''}", terms.price.format(),
            _period(plan, terms), _days(terms.trial_days), _days(plan.grace_days), "–" if plan.kind == "free" else
            f"{count:,}", _at_whop(terms), features,
        )  # fmt: skip
        name, features = "", ""


def _features(plan: PlanSpec, held: CatalogFile) -> str:
    listed = []
    for code in held.features:
        if code in plan.features:
            value = plan.features[code]
            unlimited = held.features[code].kind == "limit" and value is None
            listed.append(f"{code}: unlimited" if unlimited else code if value is None else f"{code}: {value}")
    return ", ".join(listed)


def _period(plan: PlanSpec, terms: Terms) -> str:
    return {"free": "–", "lifetime": "once"}.get(plan.kind) or _days(terms.period_days)


def _days(days: int | None) -> str:
    return f"{days} days" if days else "–"


def _at_whop(terms: Terms) -> str:
    if terms.whop_plan_id is None:
        return "–"
    return f"{terms.whop_plan_id} (archived)" if terms.gateway_archived else terms.whop_plan_id


async def _diff(wanted: _Wanted) -> None:
    async with opened() as runtime:
        found = await runtime.catalog.diff(wanted.catalog)
        promotions = await _promotion_changes(runtime, wanted)
        pending = await runtime.services.promotions.sync.pending()
    _say_diff(found)
    _say_promotions(promotions, pending)
    if found.empty and not promotions and not pending:
        out().print("The database, Whop and the file agree.")
    else:
        raise typer.Exit(DIFFERENT)


def _say_diff(found: CatalogDiff, *, with_gateway: bool = True) -> None:
    for change in found.changes:
        out().print(change.describe())
    for step in found.gateway if with_gateway else ():
        out().print(step.describe())
    for note in found.notes:
        out().print(f"note: {note}")
    for warning in found.warnings:
        aside(f"warning: {warning}")


async def _apply(wanted: _Wanted, sync: bool, yes: bool) -> None:
    async with opened("catalog.apply") as runtime:
        found = await runtime.catalog.diff(wanted.catalog)
        promotions = await _promotion_changes(runtime, wanted)
        _say_diff(found, with_gateway=sync)
        _say_promotions(promotions, await runtime.services.promotions.sync.pending() if sync else ())
        changes = len(found.changes) + len(promotions)
        if not changes:
            out().print("The database and the file agree already.")
        steps = len(found.gateway) if sync else 0
        if (changes or steps) and not yes and not typer.confirm(_question(changes, steps)):
            complain("nothing was changed.")
            raise typer.Exit(1)
        await runtime.catalog.apply(wanted.catalog)
        async with runtime.units() as unit:
            await promotion_file.apply(unit, wanted.promotions, runtime.services.promotions.service, by=operator())
            await unit.commit()
        if sync:
            _say_report(await _sync(runtime.catalog, steps))
            # After the plans: a promo code names the plans it is for.
            if await runtime.services.promotions.sync.pending():
                await say_promo_sync(runtime)


async def _promotion_changes(runtime: Runtime, wanted: _Wanted) -> list[Change]:
    async with runtime.units() as unit:
        return await promotion_file.diff(unit, wanted.promotions)


def _say_promotions(changes: Iterable[Change], pending: Iterable[Pending]) -> None:
    for change in changes:
        out().print(change.describe())
    for one in pending:
        out().print(f"{'make' if one.make else 'archive'} promo code {one.code} at Whop")


def _question(changes: int, steps: int) -> str:
    parts = [f"{changes} change{'' if changes == 1 else 's'} here"] if changes else []
    parts += [f"{steps} step{'' if steps == 1 else 's'} at Whop"] if steps else []
    return f"Go on ({' and '.join(parts)})?"


async def _sync(catalog: CatalogService, steps: int) -> SyncReport:
    try:
        with _progress(steps) as on_step:
            return await catalog.sync_gateway(on_step)
    except GatewayError:
        aside("The database has been changed, Whop not completely. Run the same command again to go on from here.")
        raise


@contextmanager
def _progress(steps: int) -> Iterator[OnStep]:
    """A bar on standard error; nothing where nobody watches or nothing is to be done."""
    console = Console(stderr=True)
    columns = (TextColumn("Whop"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not (console.is_terminal and steps)) as bar:
        task = bar.add_task("", total=steps)

        def on_step(step: GatewayStep, number: int, total: int) -> None:
            bar.update(task, completed=number, total=total, description=str(step.ref))

        yield on_step


def _say_report(report: SyncReport) -> None:
    for text, refs in (
        ("Made at Whop", report.created),
        ("Found at Whop and linked", report.adopted),
        ("Taken off sale at Whop", report.archived),
    ):
        if refs:
            out().print(f"{text}: {_names(refs)}.")
    if report.missing:
        out().print(f"Linked, but not on sale at Whop any more: {_names(report.missing)}. Nobody can buy these.")
    if report == SyncReport():
        out().print("Whop has every plan already.")


def _names(refs: Iterable[PriceRef]) -> str:
    return ", ".join(map(str, refs))


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="catalog")
