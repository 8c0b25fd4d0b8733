"""What an error means to the person at the terminal: one sentence that says what to do about it."""

import errno
import subprocess
from importlib import import_module
from typing import Any

from typer.core import TyperGroup

from quntedge.commands.output import CommandError, complain
from quntedge.gateway.emulator.keeping.sqlite_state import StateUnreadable
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.following_clock import ClockUnreachable

FAILED = 1
_DATABASE = ("psycopg", "sqlalchemy")


class Explained(TyperGroup):
    """A command group that turns the errors people can do something about into a sentence and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command. What is not understood here goes on to `main`."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            complain(sentence)
            ctx.exit(FAILED)


def explain(error: BaseException) -> str | None:
    """The sentence for an error; None for one that is nobody's fault but ours."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return explain(error.exceptions[0])
    if isinstance(error, QuntedgeError):
        return error.detail
    if isinstance(error, CommandError | StateUnreadable | ClockUnreachable):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename} cannot be used: {error.strerror.lower()}."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "There is no room left where this is written."
    if type(error).__module__.partition(".")[0] in _DATABASE:
        return _explain_database(error)
    if isinstance(error, subprocess.SubprocessError):
        return (
            "The embedded PostgreSQL did not start; its own log is the file postgres/log in the data folder "
            "(QUNTEDGE_DATA_DIR)."
        )
    return None


def _explain_database(error: BaseException) -> str | None:
    """Loaded only now: a command that has no database must not need its libraries, nor wait for them."""
    sentence: str | None = import_module("quntedge.commands.database_errors").explain(error)
    return sentence
