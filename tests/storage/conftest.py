"""Databases of earlier versions of the product."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.engine import sqlalchemy_url


@pytest.fixture
def empty_database(database_server: str) -> Iterator[str]:
    """Address of a database without any table."""
    name = f"upgrade_{uuid.uuid4().hex}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_url(database_server).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def upgrade_to(url: str, revision: str) -> None:
    """Makes a database what it was at a revision."""
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        command.upgrade(migrate._config(connection, all_tables()), revision)
        connection.commit()
    engine.dispose()
