"""The command line in this process, on the test's database, with an emulator beside it."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from quntedge.cli import app
from quntedge.demo.places import without_settings
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.conftest import ENCRYPTION_KEYS, WEBHOOK_SECRET

Cli = Callable[..., Awaitable[Result]]

SETTINGS = {
    "QUNTEDGE_SECRET_KEY": "test-secret-key-test-secret-key-0000",
    "QUNTEDGE_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    "WHOP_ENVIRONMENT": "custom",
    "WHOP_BASE_URL": "http://127.0.0.1:1/api/v1",
    "WHOP_API_KEY": "test-api-key-of-the-account",
    "WHOP_ACCOUNT_ID": "biz_test",
    "WHOP_WEBHOOK_SECRETS": WEBHOOK_SECRET,
}


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    """Commands configure the logging of their process, which here is ours."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    structlog.contextvars.clear_contextvars()
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, untouched_logging: None) -> pytest.MonkeyPatch:
    """No setting comes from outside: neither from the environment nor from a `.env` file."""
    environment = dict(os.environ)
    for name in environment.keys() - without_settings(environment).keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def cli(bare_environment: pytest.MonkeyPatch) -> Cli:
    """Runs a command without any setting. `input` answers its questions, other keywords are environment variables."""

    async def run(*arguments: str, input: str | None = None, **environment: str) -> Result:
        # A thread of its own, because commands start an event loop of their own.
        return await asyncio.to_thread(
            CliRunner().invoke, app, list(arguments), input=input, env=environment, catch_exceptions=False
        )

    return run


@pytest.fixture
def configured(bare_environment: pytest.MonkeyPatch, database_url: str) -> pytest.MonkeyPatch:
    """Complete settings on the test's database; the gateway is out of reach."""
    for name, value in SETTINGS.items():
        bare_environment.setenv(name, value)
    bare_environment.setenv("DATABASE_URL", database_url)
    return bare_environment


@pytest.fixture
async def emulator(configured: pytest.MonkeyPatch) -> AsyncIterator[RunningEmulator]:
    """An emulator that the settings point at."""
    config = EmulatorConfig(api_key=SETTINGS["WHOP_API_KEY"], account_id=SETTINGS["WHOP_ACCOUNT_ID"])
    async with running_emulator(config) as running:
        configured.setenv("WHOP_BASE_URL", running.api_base_url)
        yield running
