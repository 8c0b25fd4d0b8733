"""Bringing a database to the newest schema. Safe to run from several processes at once."""

import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from quntedge.storage.engine import sqlalchemy_url

LOCK_TIMEOUT = "5s"
VERSIONS = Path(__file__).parent / "migrations" / "versions"
_ADVISORY_LOCK = 0x51_45_4D_49  # "QEMI": one migrating process at a time


def include_object(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leaves the job queue's own tables and the partitions of ours out of the comparison."""
    if type_ == "table" and reflected and compare_to is None:
        return not (name or "").startswith(("procrastinate_", "webhook_body_"))
    return True


def _config(connection: Connection | None = None, metadata: MetaData | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
    config.attributes.update(connection=connection, metadata=metadata)
    return config


def _connect(database_url: str) -> Any:
    return create_engine(sqlalchemy_url(database_url), poolclass=NullPool)


def upgrade(database_url: str, metadata: MetaData) -> None:
    """Applies what is missing. A lock that cannot be had within `LOCK_TIMEOUT` fails the run instead of the traffic."""
    engine = _connect(database_url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        command.upgrade(_config(connection, metadata), "head")
        connection.commit()
    engine.dispose()


def pending(database_url: str) -> tuple[str | None, str]:
    """The revision a database is at, and the newest one."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    engine = _connect(database_url)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return current, str(head)


def drift(database_url: str, metadata: MetaData) -> list[Any]:
    """Differences between the migrated database and the models; empty when they agree."""
    engine = _connect(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": include_object, "compare_type": True, "compare_server_default": False}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    return list(differences)


def new_revision(database_url: str, metadata: MetaData, message: str, folder: Path = VERSIONS) -> Path:
    """Writes a migration for what the models have and the database has not, and returns the file.

    A person then reads and mends it. The database must be at the newest revision; migrations are numbered.
    """
    engine = _connect(database_url)
    with engine.connect() as connection:
        config = _config(connection, metadata)
        config.set_main_option("version_locations", os.pathsep.join(dict.fromkeys((str(VERSIONS), str(folder)))))
        head = ScriptDirectory.from_config(config).get_current_head()
        number = f"{int(head or 0) + 1:04}"
        command.revision(config, message, autogenerate=True, rev_id=number, version_path=folder)
    engine.dispose()
    (written,) = folder.glob(f"r{number}_*.py")
    return written
