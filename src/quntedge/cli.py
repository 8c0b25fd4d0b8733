"""The command line, `quntedge`: every part of the product, one command each."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from quntedge.commands.errors import FAILED, Explained
from quntedge.commands.examples import attach
from quntedge.commands.output import complain

_TRACEBACK = "--traceback"

MODULES = {
    "demo": "demo",
    "demo-part": "demo",
    "web": "services",
    "worker": "services",
    "migrate": "services",
    "whop-emulator": "emulator",
    "clock": "clock",
    "catalog": "catalog",
    "promotions": "promotions",
    "subscriptions": "subscriptions",
    "payments": "payments",
    "invoices": "invoices",
    "disputes": "disputes",
    "ledger": "ledger",
    "reconcile": "reconcile",
    "webhooks": "webhooks",
    "refunds": "refunds",
    "mails": "mails",
    "attention": "attention",
    "processes": "processes",
    "audit": "audit",
    "api-key": "api_keys",
    "doctor": "doctor",
    "keys": "keys",
    "version": "version",
}
"""Each command with the module of `quntedge.commands` that registers it, in the order of the help."""


class Commands(Explained):
    """Loads a command's module when the command is used: the product takes seconds to load, its emulator must not."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, without loading anything."""
        return list(MODULES)

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command of this name; None when there is none."""
        if name in MODULES and name not in self.commands:
            part = typer.Typer()
            import_module(f"quntedge.commands.{MODULES[name]}").register(part)
            made = typer.main.get_group(part).commands
            for own_name, command in made.items():
                attach(command, own_name)
            self.commands.update(made)
        return super().get_command(ctx, name)


app = typer.Typer(
    name="quntedge",
    cls=Commands,
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
