"""What moves money survives a restart: every pending step is taken up where it was left."""

from pathlib import Path

import httpx
import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import running_emulator
from tests.emulator.conftest import FAILS_LATER, NO_CERTIFICATES, START, Shop, sdk_for


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    return EmulatorConfig(start=START, state_path=tmp_path / "state.sqlite", collect_seconds=3600)


async def test_everything_pending_goes_on_after_a_restart(config: EmulatorConfig) -> None:
    async with running_emulator(config) as emu, httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        sdk = sdk_for(emu, http)
        product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
        shop = Shop(emu, sdk, product.id)
        sold = [(await shop.sell(f"{name}@customer.test"))["payment"] for name in "abc"]
        disputed, refunded, charged = sold
        await emu.open_dispute(disputed["id"], respond_within_days=2)
        await emu.raise_alert(refunded["id"])
        await emu.next_refund(refunded["id"], "failed", after_seconds=7200)
        await sdk.payments.refund(refunded["id"])
        quote = await sdk.payment_quotes.create(account_id=emu.config.account_id, plan_id=await shop.plan())
        body = {
            "account_id": emu.config.account_id,
            "member_id": charged["member_id"],
            "payment_method_id": charged["payment_method_id"],
        }
        made = await sdk.payments.create(**body, quote_id=quote.id, capture=False)
        setup = await sdk.checkout_configurations.create(account_id=emu.config.account_id, mode="setup")
        await emu.pay(setup.id, FAILS_LATER, email="d@customer.test")
        await emu.set_taxes({"de": 1900}, behavior="inclusive")
        before = emu.runtime.world.store.tables
    async with running_emulator(config) as emu, httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        tables = emu.runtime.world.store.tables
        names = ("payments", "refunds", "disputes", "dispute_alerts", "setup_intents", "quotes", "tax_rates", "methods")
        for name in names:
            assert getattr(tables, name) == getattr(before, name) != {}, name
        assert tables.tax_behavior == "inclusive"
        sdk = sdk_for(emu, http)
        assert (await sdk.payments.retrieve(made.id)).status == "open"
        await emu.advance(hours=3)
        assert (await sdk.payments.retrieve(made.id)).status == "authorized"
        assert [r.status async for r in await sdk.refunds.list(payment_id=refunded["id"])] == ["failed"]
        await emu.advance(days=6)
        assert (await sdk.payments.retrieve(made.id)).status == "void"
        assert [d.status async for d in await sdk.disputes.list()] == ["under_review"]
