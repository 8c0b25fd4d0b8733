"""The command line, `quntedge`: every part of the product, one command each."""

import sys
from typing import Annotated

import typer

from quntedge.commands import api_keys, catalog, demo, doctor, keys, services, webhooks
from quntedge.commands.errors import FAILED, Explained
from quntedge.commands.output import complain

_TRACEBACK = "--traceback"

app = typer.Typer(
    name="quntedge",
    cls=Explained,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Subscription payments, access control and revenue reporting for software sold through Whop.",
)


@app.callback()
def options(
    traceback: Annotated[bool, typer.Option(_TRACEBACK, help="Show where an unexpected error happened.")] = False,
) -> None:
    """Subscription payments, access control and revenue reporting for software sold through Whop."""


demo.register(app)
services.register(app)
app.add_typer(catalog.app, name="catalog")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(api_keys.app, name="api-key")
doctor.register(app)
keys.register(app)


def main() -> None:
    """Entry point. What people can do something about is one sentence; `--traceback` shows the rest."""
    try:
        app()
    except Exception as error:
        if _TRACEBACK in sys.argv:
            raise
        kind = type(error).__name__
        complain(f"this should not have happened ({kind}: {error}). `quntedge {_TRACEBACK} …` shows where it did.")
        sys.exit(FAILED)
