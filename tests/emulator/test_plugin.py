"""The fixtures other projects use: synchronous code, the official client, an emulator of one's own."""

import socket

import httpx
import pytest
from whop_sdk import Whop, WhopEnvironment

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.pytest_plugin import whop_emulator
from quntedge.gateway.emulator.threaded import EmulatorThread, emulator_in_thread
from tests.emulator.conftest import NO_CERTIFICATES, START

__all__ = ["whop_emulator"]


@pytest.fixture
def whop_emulator_config() -> EmulatorConfig:
    """Overridden, as another project would."""
    return EmulatorConfig(start=START, account_id="biz_somebody")


def test_a_project_without_an_event_loop_sells_something(whop_emulator: EmulatorThread) -> None:
    environment = WhopEnvironment(api=whop_emulator.api_base_url, vault=whop_emulator.api_base_url)
    with httpx.Client(verify=NO_CERTIFICATES) as http:
        client = Whop(token=whop_emulator.config.api_key, environment=environment, httpx_client=http)
        assert client.accounts.me().id == "biz_somebody"
        product = client.products.create(title="Something")
        plan = client.variants.create(product_id=product.id, plan_type="one_time", initial_price=5, currency="usd")
        checkout = client.checkout_configurations.create(plan_id=plan.id)
        paid = whop_emulator.run(lambda emulator: emulator.pay(checkout.id, email="kim@customer.test"))
        assert paid["outcome"] == "paid"
        assert client.memberships.retrieve(paid["membership"]["id"]).status == "completed"
    whop_emulator.run(lambda emulator: emulator.advance(months=1))
    with pytest.raises(RuntimeError, match="refused"):
        whop_emulator.run(lambda emulator: emulator.advance(months=-1))


def test_it_is_gone_afterwards() -> None:
    with emulator_in_thread() as emulator:
        host, port = emulator.url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port))).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_what_keeps_it_from_starting_is_raised() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        emulator_in_thread(port=taken.getsockname()[1]),
    ):
        pytest.fail("it started on a port that is taken")
