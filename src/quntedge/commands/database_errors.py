"""What an error of the database means to the person at the terminal."""

import psycopg
import sqlalchemy.exc


def explain(error: BaseException) -> str | None:
    """The sentence for an error of SQLAlchemy or psycopg; None for one that is nobody's fault but ours."""
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return _explain(error.orig)
    return _explain(error) if isinstance(error, psycopg.Error) else None


def _explain(error: BaseException | None) -> str | None:
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
