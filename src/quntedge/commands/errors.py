"""What an error means to the person at the terminal: one sentence that says what to do about it."""

import subprocess
from typing import Any

import psycopg
import sqlalchemy.exc
from typer.core import TyperGroup

from quntedge.commands.output import CommandError, complain
from quntedge.gateway.emulator.snapshots import SnapshotUnreadable
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.following_clock import ClockUnreachable

FAILED = 1


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
    if isinstance(error, CommandError | SnapshotUnreadable | ClockUnreachable):
        return str(error)
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return _explain_database(error.orig)
    if isinstance(error, psycopg.Error):
        return _explain_database(error)
    if isinstance(error, subprocess.SubprocessError):
        return (
            "The embedded PostgreSQL did not start; its own log is the file postgres/log in the data folder "
            "(QUNTEDGE_DATA_DIR)."
        )
    return None


def _explain_database(error: BaseException | None) -> str | None:
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return "The database does not have the newest schema; run `quntedge migrate` first."
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "Another session holds a lock that is needed, and nothing was changed; run the command again later."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"The database user of DATABASE_URL lacks a privilege: {_first_line(error)}."
    if isinstance(error, psycopg.OperationalError):
        return (
            f"The database cannot be reached: {_first_line(error)}. "
            "Check DATABASE_URL, and that PostgreSQL is running and lets us in."
        )
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
