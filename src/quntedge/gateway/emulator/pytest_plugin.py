"""Fixtures for any project's tests, synchronous or not: put this into your conftest.py.

pytest_plugins = ["quntedge.gateway.emulator.pytest_plugin"]

def test_a_purchase(whop_emulator):
    address = whop_emulator.api_base_url
    client = Whop(token=whop_emulator.config.api_key, environment=WhopEnvironment(api=address, vault=address))
    ...
    whop_emulator.run(lambda emulator: emulator.advance(months=1))

Each test gets an emulator of its own. Override `whop_emulator_config` to start it differently. Needs pytest, which the
product itself does not.
"""

from collections.abc import Iterator

import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.threaded import EmulatorThread, emulator_in_thread


@pytest.fixture
def whop_emulator_config() -> EmulatorConfig:
    """How `whop_emulator` is started."""
    return EmulatorConfig()


@pytest.fixture
def whop_emulator(whop_emulator_config: EmulatorConfig) -> Iterator[EmulatorThread]:
    """A running emulator on a free loopback port, in a thread of its own."""
    with emulator_in_thread(whop_emulator_config) as emulator:
        yield emulator
