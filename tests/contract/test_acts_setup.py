"""Saving a card without buying, against the emulator."""

from tests.contract.shop import PAYS_TOO, Shop

BACK = "http://127.0.0.1:1/billing/recover"


async def test_a_card_is_saved_for_whoever_comes_and_leads_back(shop: Shop) -> None:
    membership, _ = await shop.buy()
    page = await shop.gateway.start_card_setup(BACK, metadata={"dunning_case": "dun_1"}, idempotency_key="card-1")
    again = await shop.gateway.start_card_setup(BACK, metadata={"dunning_case": "dun_1"}, idempotency_key="card-1")
    assert again == page
    assert page.purchase_url.startswith(shop.emulator.url)
    saved = await shop.emulator.pay(page.checkout_id, PAYS_TOO, email="kim@customer.test")
    assert saved["outcome"] == "saved"
    assert saved["redirect_url"].startswith(BACK)
    methods = await shop.gateway.methods_of(membership.member_id or "")
    assert {method.last4 for method in methods} == {"4242", PAYS_TOO[-4:]}
