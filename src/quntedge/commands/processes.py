"""Resumable processes: what is under way at the gateway, how far it is, and trying again now."""

import json
from typing import Annotated

import typer
from sqlalchemy import select

from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.kit.logging import get_logger
from quntedge.processes.models import Process, ProcessStep
from quntedge.processes.steps import State

app = typer.Typer(
    cls=Explained, no_args_is_help=True, help="What is being done at Whop in several steps, and survives a crash."
)

log = get_logger(__name__)

_UNKNOWN = "There is no process {}; its id begins with prc_."
_STANDINGS = (*(state.value for state in State), "stuck")


@app.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option(help="Only these: running, stuck (running, and tried in vain), done or failed.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as withdrawal.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """List processes, the latest first. Without --state those that are running."""
    if state is not None and state not in _STANDINGS:
        raise typer.BadParameter(f"{state!r} is none of {', '.join(_STANDINGS)}.")
    run(_list(state or State.RUNNING.value, kind, limit))


@app.command()
def show(process_id: Annotated[str, typer.Argument(help="Id of the process, prc_…")]) -> None:
    """Show a process with every step it took."""
    run(_show(process_id))


@app.command()
def retry(process_id: Annotated[str, typer.Argument(help="Id of the process, prc_…")]) -> None:
    """Have a worker go on with a running process now, whenever it would have been tried next."""
    run(_retry(process_id))


async def _list(state: str, kind: str | None, limit: int) -> None:
    query = select(Process).order_by(Process.created_at.desc(), Process.id.desc()).limit(limit)
    query = query.where(Process.stuck, Process.state == State.RUNNING) if state == "stuck" else query.where(
        Process.state == state
    )  # fmt: skip
    if kind is not None:
        query = query.where(Process.kind == kind)
    async with opened() as runtime, runtime.units() as unit:
        rows = (await unit.session.scalars(query)).all()
    if not rows:
        aside("There is none.")
        return
    shown = table("Id", "Kind", "About", "At step", "State", "Begun (UTC)", "Next (UTC)", "Trouble")
    for row in rows:
        is_running = row.state == State.RUNNING
        shown.add_row(
            row.id,
            row.kind,
            row.subject_id,
            row.step,
            "stuck" if row.stuck and is_running else row.state,
            moment(row.created_at),
            moment(row.due_at) if is_running else "",
            row.error or "",
        )
    show_table(shown)


async def _show(process_id: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await unit.session.get(Process, process_id)
        if row is None:
            raise CommandError(_UNKNOWN.format(process_id))
        taken = await unit.session.scalars(
            select(ProcessStep).where(ProcessStep.process_id == process_id).order_by(ProcessStep.ordinal)
        )
        steps = taken.all()
    for column in Process.__table__.columns:
        value = getattr(row, column.name)
        if value is not None and column.name != "data":
            shown_value = moment(value) if hasattr(value, "strftime") else str(value)
            out().print(f"{column.name:<12} {shown_value}")
    out().print(f"{'data':<12} {json.dumps(row.data, ensure_ascii=False)}")
    out().print()
    shown = table("No.", "Step", "State", "Tries", "Begun (UTC)", "Ended (UTC)", "Answer")
    for step in steps:
        said = step.error or ("" if step.answer is None else json.dumps(step.answer, ensure_ascii=False))
        shown.add_row(
            str(step.ordinal), step.name, step.state, str(step.attempts), moment(step.started_at),
            "" if step.ended_at is None else moment(step.ended_at), said,
        )  # fmt: skip
    show_table(shown)


async def _retry(process_id: str) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await unit.session.get(Process, process_id)
        if row is None:
            raise CommandError(_UNKNOWN.format(process_id))
        if row.state != State.RUNNING:
            raise CommandError(f"{process_id} has ended ({row.state}); there is nothing to go on with.")
        await runtime.processes.nudge(unit, [process_id])
        await unit.commit()
    log.info("process.nudged", process_id=process_id, by=operator())
    out().print(f"A worker goes on with {process_id} now. `quntedge processes show {process_id}` tells how it went.")


def register(cli: typer.Typer) -> None:
    """Adds the commands to the command line."""
    cli.add_typer(app, name="processes")
