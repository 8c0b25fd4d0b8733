"""Processes that are killed: only where somebody asked for it, because starting them takes its time."""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.settings import Settings, load_settings
from tests.conftest import ENCRYPTION_KEYS, WEBHOOK_SECRET
from tests.faults.fleet import Fleet, running_fleet

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def fleet(
    database_server: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """Web and worker for a module; each test has customers of its own."""
    name, folder = f"faults_{os.getpid()}_{next(_numbers)}", tmp_path_factory.mktemp("fleet")
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template_database)
            )
        )
    url = make_url(database_server).set(database=name).render_as_string(hide_password=False)
    async with running_fleet(_settings(url, folder), url, folder) as running:
        yield running
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _settings(url: str, folder: Path) -> Settings:
    return load_settings(
        database_url=url,
        data_dir=folder,
        secret_key="test-secret-key-test-secret-key-0000",
        encryption_keys=ENCRYPTION_KEYS,
        whop_environment="custom",
        whop_base_url="http://127.0.0.1:1/api/v1",
        whop_api_key="test-key",
        whop_account_id="biz_test",
        whop_webhook_secrets=WEBHOOK_SECRET,
    )
