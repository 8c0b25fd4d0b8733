"""Whop's own account of our endpoint: what is made of it, and what happens when it is well again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.port import WebhookEndpoint
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.clock import FrozenClock
from quntedge.kit.metrics import REGISTRY
from quntedge.webhooks.endpoint import EndpointState, EndpointWatch, judge
from tests.conftest import WEBHOOK_SECRET
from tests.emulator.receiver import Receiver, running_receiver

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
URL = "https://pay.example.com/api/whop/webhook"


def _endpoint(url: str = URL, *, enabled: bool = True, failures: int = 0) -> WebhookEndpoint:
    return WebhookEndpoint("hook_1", url, enabled, failures, None, None)


@pytest.mark.parametrize(
    ("endpoints", "state"),
    [
        ([], EndpointState.MISSING),
        ([_endpoint("https://other.example.com/hook")], EndpointState.MISSING),
        ([_endpoint()], EndpointState.WELL),
        ([_endpoint(URL + "/")], EndpointState.WELL),
        ([_endpoint(failures=3)], EndpointState.FAILING),
        ([_endpoint(enabled=False, failures=30)], EndpointState.DISABLED),
        ([_endpoint(enabled=False), _endpoint()], EndpointState.WELL),
        ([_endpoint(enabled=False), _endpoint(failures=1)], EndpointState.FAILING),
    ],
)
def test_the_best_endpoint_with_our_address_counts(endpoints: list[WebhookEndpoint], state: EndpointState) -> None:
    health = judge(endpoints, URL)
    assert health.state is state
    assert health.advice


@dataclass
class Setting:
    emu: RunningEmulator
    receiver: Receiver
    gateway: WhopGateway
    watch: EndpointWatch
    caught_up: list[int] = field(default_factory=list)

    def gauge(self) -> float | None:
        return REGISTRY.get_sample_value("quntedge_webhook_endpoint_healthy")

    async def happen(self) -> None:
        """Something that Whop tells about."""
        await self.gateway.create_product("Something", metadata={}, idempotency_key=f"p{len(self.receiver.received)}")
        await self.emu.settle()


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    clock = FrozenClock(START)
    async with running_emulator(EmulatorConfig(start=START)) as emu, running_receiver() as receiver:
        config = emu.config
        gateway = connect(WhopSettings("custom", config.api_key, config.account_id, emu.api_base_url), read_retries=0)
        caught_up: list[int] = []

        async def catch_up() -> int:
            caught_up.append(1)
            return 0

        yield Setting(emu, receiver, gateway, EndpointWatch(gateway, receiver.url, clock, catch_up), caught_up)
        await gateway.close()


async def test_trouble_is_told_once_and_what_failed_is_asked_for_again(setting: Setting) -> None:
    watch, receiver = setting.watch, setting.receiver
    with capture_logs() as logs:
        assert await watch.check() == 1
        await setting.emu.register_webhook(receiver.url, WEBHOOK_SECRET)
        assert await watch.check() == 0
        assert setting.gauge() == 1
        receiver.statuses.extend([500])
        await setting.happen()
        assert await watch.check() == await watch.check() == 1
        assert setting.gauge() == 0
        failed = receiver.received[-1].headers["webhook-id"]
        caught_up_before = len(setting.caught_up)
        await setting.happen()
        assert await watch.check() == 0
        await setting.emu.settle()
    states = [entry["state"] for entry in logs if entry["event"] == "webhook_endpoint.state"]
    assert states == ["missing", "well", "failing", "well"]
    assert [one.headers["webhook-id"] for one in receiver.received].count(failed) == 2, "delivered again, same id"
    assert len(setting.caught_up) == caught_up_before + 1


async def test_a_gateway_out_of_reach_is_no_verdict(setting: Setting) -> None:
    nobody = connect(WhopSettings("custom", "key", "biz_1", "http://127.0.0.1:9/api/v1"), read_retries=0)
    watch = EndpointWatch(nobody, setting.receiver.url, FrozenClock(START), setting.watch.check)
    assert await watch.check() == 0
    assert str(setting.gauge()) == "nan"
    await nobody.close()


async def test_a_disabled_endpoint_is_an_error_with_advice(setting: Setting) -> None:
    hook = await setting.emu.register_webhook(setting.receiver.url, WEBHOOK_SECRET)
    head = {"authorization": f"Bearer {setting.emu.config.api_key}"}
    address = f"{setting.emu.api_base_url}/webhooks/{hook['id']}"
    assert (await setting.emu.control.patch(address, json={"enabled": False}, headers=head)).status_code == 200
    with capture_logs() as logs:
        assert await setting.watch.check() == 1
    (told,) = [entry for entry in logs if entry["event"] == "webhook_endpoint.state"]
    assert (told["state"], told["log_level"]) == ("disabled", "error")
    assert "enable" in told["advice"]
    assert (await setting.watch.look()).state is EndpointState.DISABLED
