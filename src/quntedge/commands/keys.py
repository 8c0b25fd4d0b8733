"""Fresh secrets, and the version."""

import base64
from importlib.metadata import version as installed_version

import typer

from quntedge.commands.output import out
from quntedge.kit.clock import SystemClock
from quntedge.kit.crypto import new_key, random_token


def fresh_keys(name: str) -> dict[str, str]:
    """A new value for each secret that is ours to make, by its environment name. `name` names the encryption key."""
    return {
        "QUNTEDGE_SECRET_KEY": random_token(48),
        "QUNTEDGE_ENCRYPTION_KEYS": f"{name}:{base64.b64encode(new_key()).decode()}",
    }


def keys() -> None:
    """Print fresh secrets, ready for a `.env` file.

    To rotate the encryption key, put the new pair in front of the old ones: what those sealed must still open.
    """
    for variable, value in fresh_keys(f"k{SystemClock().now():%Y%m%d}").items():
        out().print(f"{variable}={value}")


def version() -> None:
    """Print the version of the program."""
    out().print(f"quntedge {installed_version('quntedge')}")


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(keys)
    app.command()(version)
