"""Receipts and the removal of saved methods against the emulator."""

import httpx
import pytest

from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from tests.contract.shop import PAYS_TOO, Shop


async def test_each_link_to_a_receipt_is_a_new_one_and_leads_to_a_pdf(shop: Shop) -> None:
    _, payment = await shop.buy()
    link = await shop.gateway.receipt(payment.payment_id)
    await shop.emulator.advance(seconds=5)
    again = await shop.gateway.receipt(payment.payment_id)
    assert link.expires_at is not None
    assert again.expires_at is not None
    assert again.expires_at > link.expires_at > shop.emulator.runtime.world.now()
    async with httpx.AsyncClient(trust_env=False) as browser:
        found = await browser.get(link.url)
        assert found.headers["content-type"] == "application/pdf"
        assert payment.payment_id.encode() in found.content
        await shop.emulator.advance(hours=2)
        assert (await browser.get(link.url)).is_error
    with pytest.raises(GatewayNotFound):
        await shop.gateway.receipt("pay_never_was")


async def test_a_method_is_kept_while_a_running_membership_is_paid_with_it(shop: Shop) -> None:
    membership, payment = await shop.buy()
    member_id = membership.member_id or ""
    assert payment.payment_method_id is not None
    spare = await shop.save_card(PAYS_TOO)
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.delete_method(payment.payment_method_id, member_id=member_id)
    assert "uses this payment method" in caught.value.detail
    await shop.gateway.delete_method(spare, member_id="mber_of_somebody_else")
    assert len(await shop.gateway.methods_of(member_id)) == 2, "somebody else's is as good as missing"
    await shop.gateway.delete_method(spare, member_id=member_id)
    await shop.gateway.delete_method(spare, member_id=member_id)
    assert [method.method_id for method in await shop.gateway.methods_of(member_id)] == [payment.payment_method_id]
