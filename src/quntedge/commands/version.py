"""The version."""

from importlib.metadata import version as installed_version

import typer

from quntedge.commands.output import out


def version() -> None:
    """Print the version of the program."""
    out().print(f"quntedge {installed_version('quntedge')}")


def register(app: typer.Typer) -> None:
    """Adds this command."""
    app.command()(version)
