"""A state that was kept as one JSON document lives on in the SQLite file."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.keeping.sqlite_state import StateUnreadable
from quntedge.gateway.emulator.testing import running_emulator

KEPT = Path(__file__).parent / "data" / "earlier_state.json"
"""Written by the release that kept JSON: a membership that has renewed once, with a partial refund."""


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    shutil.copy(KEPT, tmp_path / "emulator.json")
    return EmulatorConfig(state_path=tmp_path / "emulator.sqlite")


async def test_it_is_taken_over_once_and_goes_on(config: EmulatorConfig) -> None:
    async with running_emulator(config) as first:
        tables = first.runtime.world.store.tables
        (membership,) = tables.memberships.values()
        assert membership.status == "active"
        assert [payment.status for payment in tables.payments.values()] == ["paid", "paid"]
        (refund,) = tables.refunds.values()
        assert (refund.amount.amount_minor, refund.amount.currency) == (500, "usd")
        assert first.runtime.world.now() - datetime.now(UTC) > timedelta(days=30)
        await first.advance(days=31)
        renewed = membership.current_period_end
        assert len(tables.payments) == 3
    assert config.state_path is not None
    config.state_path.with_suffix(".json").unlink()
    async with running_emulator(config) as second:
        tables = second.runtime.world.store.tables
        assert len(tables.payments) == 3
        assert next(iter(tables.memberships.values())).current_period_end == renewed


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format": 9}', KEPT.read_bytes().replace(b"biz_emulator", b"biz_2")]
)
async def test_what_cannot_be_read_stops_the_start(config: EmulatorConfig, content: bytes) -> None:
    assert config.state_path is not None
    config.state_path.with_suffix(".json").write_bytes(content)
    with pytest.raises(StateUnreadable, match="move it away to start afresh"):
        async with running_emulator(config):
            pytest.fail("it started")
