"""The database connection: one async engine per process, on psycopg 3."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from quntedge.settings import ConfigurationError
from quntedge.storage.rows import adapt


def sqlalchemy_url(database_url: str) -> str:
    """Turns a libpq-style address into SQLAlchemy's, with psycopg as driver. Raises `ConfigurationError`."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigurationError(
            "DATABASE_URL is not an address: write it as postgresql://user:password@host:5432/name."
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError("DATABASE_URL must point at PostgreSQL: postgresql://user:password@host:5432/name.")
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def libpq_url(database_url: str) -> str:
    """The same address for psycopg itself."""
    return make_url(sqlalchemy_url(database_url)).set(drivername="postgresql").render_as_string(hide_password=False)


def create_engine(database_url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine whose connections run in UTC. The pool never grows beyond `pool_size`."""
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_timeout=10,
        # Parameters can be personal; they have no place in error messages and logs.
        hide_parameters=True,
        connect_args={"options": "-c timezone=UTC", "application_name": "quntedge", "prepare_threshold": 2},
    )
    event.listen(engine.sync_engine, "connect", _adapt)
    return engine


def _adapt(connection: Any, _record: object) -> None:
    adapt(connection.driver_connection)


def session_factory(engine: AsyncEngine) -> Callable[[], AsyncSession]:
    """Sessions that flush only when told and whose objects stay readable after a commit."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
