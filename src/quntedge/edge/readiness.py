"""Whether this process can serve: the database answers and has the schema this program was written for."""

import asyncio
from pathlib import Path

from alembic.script import ScriptDirectory
from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.edge.errors import NotReady
from quntedge.storage import migrations

_PATIENCE_SECONDS = 3.0


async def check_ready(engine: AsyncEngine) -> str | None:
    """Returns the schema's revision. Raises `NotReady`, which says what is missing and how to mend it."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            revision = await _revision(engine)
    except (TimeoutError, PoolTimeout, DBAPIError, OSError):
        raise NotReady(
            "The database does not answer. Check DATABASE_URL and the server.", retry_after_seconds=5
        ) from None
    known = await asyncio.to_thread(_revisions)
    # One that this program does not know comes from a newer one, whose migrations leave what we need in place: while
    # an installation is upgraded, old processes go on serving.
    if revision is None or revision in known[1:]:
        raise NotReady(
            f"The database is at revision {revision or 'none'} and this program needs {known[0]}."
            " Run: quntedge migrate",
            retry_after_seconds=5,
        )
    return revision


async def _revision(engine: AsyncEngine) -> str | None:
    async with engine.connect() as connection:
        try:
            revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        except ProgrammingError as error:
            if isinstance(error.orig, pg.UndefinedTable):
                return None
            raise
        return revision


def _revisions() -> list[str]:
    """All revisions of this program, the newest first."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    return [script.revision for script in scripts.walk_revisions()]
