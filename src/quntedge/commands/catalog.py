"""The catalogue: what is on sale, what a file would change, and changing it."""

from pathlib import Path
from typing import Annotated

import typer

from quntedge.catalog import queries, toml
from quntedge.catalog.queries import PlanView
from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.service import SyncReport
from quntedge.commands.errors import Explained
from quntedge.commands.output import out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Plans, features and prices.")

File = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, help="A catalogue in TOML; without it, the one that comes along."),
]


@app.command()
def show(
    archived: Annotated[bool, typer.Option("--archived", help="Show plans that are not sold any more, too.")] = False,
) -> None:
    """List the plans and what they grant."""
    run(_show(archived))


@app.command()
def diff(file: File = None) -> None:
    """Say what `apply` would change, and change nothing."""
    run(_diff(_read(file)))


@app.command()
def apply(
    file: File = None,
    sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Make new plans at Whop as well.")] = True,
) -> None:
    """Make the database say what the file says, then make new plans at Whop."""
    run(_apply(_read(file), sync))


def _read(file: Path | None) -> CatalogFile:
    return toml.packaged() if file is None else toml.load(file)


async def _show(archived: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        plans = await queries.plans(unit.session, include_archived=archived)
    if not plans:
        out().print("The catalogue is empty; `quntedge catalog apply` fills it.")
        return
    shown = table("Code", "Name", "Price", "Period", "Trial", "Grace", "At Whop", "Features")
    for plan in plans:
        name = f"{plan.name} (archived)" if plan.archived else plan.name
        features = ", ".join(feature.code for feature in plan.features)
        shown.add_row(
            plan.code, name, plan.price.format(), _period(plan), _days(plan.trial_days), _days(plan.grace_days),
            plan.whop_plan_id or "–", features,
        )  # fmt: skip
    show_table(shown)


def _period(plan: PlanView) -> str:
    return {"free": "–", "lifetime": "once"}.get(plan.kind) or _days(plan.period_days)


def _days(days: int | None) -> str:
    return f"{days} days" if days else "–"


async def _diff(wanted: CatalogFile) -> None:
    async with opened() as runtime:
        changes = await runtime.catalog.preview(wanted)
    for change in changes:
        out().print(change.describe())
    if not changes:
        out().print("The database and the file agree.")


async def _apply(wanted: CatalogFile, sync: bool) -> None:
    async with opened() as runtime:
        changes = await runtime.catalog.apply(wanted)
        for change in changes:
            out().print(change.describe())
        if not changes:
            out().print("The database and the file agree already.")
        if sync:
            _say(await runtime.catalog.sync_gateway())


def _say(report: SyncReport) -> None:
    if report.created:
        out().print(f"Made at Whop: {', '.join(report.created)}.")
    if report.adopted:
        out().print(f"Found at Whop and linked: {', '.join(report.adopted)}.")
    if report.missing:
        out().print(f"Linked, but not to be found at Whop any more: {', '.join(report.missing)}. Nobody can buy these.")
    if not (report.created or report.adopted or report.missing):
        out().print("Whop has every plan already.")


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="catalog")
