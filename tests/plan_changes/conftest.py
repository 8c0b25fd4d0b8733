"""The world of plan changes: one for each module, in which every test has customers of its own."""

import itertools
import os
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.kit.crypto import KeyRing
from quntedge.storage.vault import Vault
from tests.conftest import ENCRYPTION_KEYS
from tests.plan_changes.world import World, open_world

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def world(database_server: str, template_database: str) -> AsyncIterator[World]:
    """A shop with the packaged catalogue on sale at an emulator of its own. Its time only ever goes forward."""
    name = f"plan_changes_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template_database)
            )
        )
    url = make_url(database_server).set(database=name).render_as_string(hide_password=False)
    async with open_world(url, Vault(KeyRing.parse(ENCRYPTION_KEYS))) as opened:
        yield opened
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
