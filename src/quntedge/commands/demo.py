"""`quntedge demo`, and the parts of it that are processes of their own."""

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from quntedge.commands.output import CommandError, out, require_free_port
from quntedge.commands.parent import WithParent, follow_parent
from quntedge.demo.database import keep_database, stop_left_over
from quntedge.demo.family import ChildDied
from quntedge.demo.places import DemoProblem, Places, Ports, only_one
from quntedge.demo.preparing import prepare
from quntedge.demo.screen import Screen
from quntedge.demo.starting import Interrupted, run_demo

_parts = typer.Typer(hidden=True, help="Processes that `quntedge demo` starts for itself.")


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages and the API.")] = 8000,
    emulator_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Whop emulator.")] = 8090,
    folder: Annotated[Path, typer.Option(file_okay=False, help="Where the demo keeps its data.")] = Path(".quntedge"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the data of earlier runs first.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the data of earlier runs and do nothing else.")
    ] = False,
) -> None:
    """Run everything on this machine, with an embedded database, an emulated Whop and customers to look at.

    It uses none of your own settings and touches no real account. Ctrl-C stops it; the next start continues.
    """
    places, ports = Places(folder.resolve()), Ports(port, emulator_port)
    try:
        with only_one(places):
            if fresh or forget:
                stop_left_over(places)
                places.forget()
            if forget:
                out().print("The demo's data is gone.")
                return
            _run(places, ports)
    except DemoProblem as problem:
        raise CommandError(str(problem)) from None


def _run(places: Places, ports: Ports) -> None:
    if ports.web == ports.emulator:
        raise CommandError("--port and --emulator-port must differ.")
    require_free_port("127.0.0.1", ports.web, "--port")
    require_free_port("127.0.0.1", ports.emulator, "--emulator-port")
    places.prepare()
    logging.basicConfig(filename=places.logs / "demo.log", filemode="w", level=logging.WARNING)
    try:
        with Screen() as screen:
            asyncio.run(run_demo(places, ports, screen))
    except ChildDied:
        raise typer.Exit(1) from None
    except Interrupted as interrupted:
        raise typer.Exit(130 if interrupted.number is signal.SIGINT else 0) from None


@_parts.command("database")
def database(folder: Path, with_parent: WithParent = False) -> None:
    """Keep the embedded database running and print its address."""
    follow_parent(with_parent)
    keep_database(folder)


@_parts.command("prepare")
def prepare_(with_parent: WithParent = False) -> None:
    """Prepare schema, catalogue and customers."""
    follow_parent(with_parent)
    try:
        prepare()
    except DemoProblem as problem:
        raise CommandError(str(problem)) from None


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(demo)
    app.add_typer(_parts, name="demo-part")
