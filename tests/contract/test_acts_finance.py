"""Fees, movements and payouts of the emulator, read by our gateway and by the official SDK's own models."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from whop_sdk import AsyncWhop, WhopEnvironment

from quntedge.gateway.finance import Movement, MovementKind, PayoutStatus
from quntedge.kit.money import Money
from tests.contract.shop import PRICE, Shop

EPOCH, FOREVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


async def movements(shop: Shop) -> list[Movement]:
    """All of them, oldest first."""
    pages = [page async for page in shop.gateway.movements_between(EPOCH, FOREVER)]
    return sorted((one for page in pages for one in page), key=lambda one: (one.posted_at, one.movement_id))


def by_type(found: list[Movement]) -> dict[str, int]:
    return {one.line_type: one.amount.amount_minor for one in found}


async def test_what_a_payment_cost_is_told_fee_by_fee_and_moves_the_balance(shop: Shop) -> None:
    _, payment = await shop.buy()
    fees = await shop.gateway.fees_of(payment.payment_id)
    assert [(fee.amount, fee.origin) for fee in fees] == [
        (Money(81, "usd"), "payment_processing_percentage_fee"),
        (Money(30, "usd"), "payment_processing_fixed_fee"),
    ]
    assert {fee.movement for fee in fees} == {MovementKind.FEE}
    found = await movements(shop)
    assert by_type(found) == {
        "payment_gross": 2999,
        "payment_processing_percentage_fee": -81,
        "payment_processing_fixed_fee": -30,
    }
    assert {one.payment_id for one in found} == {payment.payment_id}
    assert payment.net == Money(sum(by_type(found).values()), "usd")


async def test_tax_that_is_remitted_is_no_fee(shop: Shop) -> None:
    await shop.emulator.set_taxes({"de": 1900})
    _, checkout_id = await shop.checkout(PRICE, 30)
    paid = await shop.emulator.pay(checkout_id, email="kim@customer.test", country="de")
    fees = await shop.gateway.fees_of(paid["payment"]["id"])
    taxes = [fee.amount for fee in fees if fee.movement is MovementKind.TAX]
    assert taxes == [Money(570, "usd")]
    assert [one.amount for one in await movements(shop) if one.kind is MovementKind.TAX] == [Money(-570, "usd")]


async def test_refunds_and_disputes_move_the_balance_when_they_happen(shop: Shop) -> None:
    _, first = await shop.buy()
    await shop.gateway.refund_payment(first.payment_id, amount=Money(1000, "usd"), metadata={}, idempotency_key="r")
    await shop.emulator.advance(hours=1)
    _, second = await shop.buy(email="lee@customer.test")
    dispute = await shop.emulator.open_dispute(second.payment_id)
    await shop.emulator.advance(days=1)
    await shop.emulator.rule_dispute(dispute["id"], "won")
    kinds = dict.fromkeys(MovementKind, 0)
    for one in await movements(shop):
        kinds[one.kind] += one.amount.amount_minor
    of_first = await shop.gateway.movements_of(first.payment_id)
    assert sorted(one.movement_id for one in of_first) == sorted(
        one.movement_id for one in await movements(shop) if one.payment_id == first.payment_id
    )
    assert MovementKind.REFUND in {one.kind for one in of_first}
    assert kinds[MovementKind.REFUND] == -1000
    assert kinds[MovementKind.DISPUTE] == 0, "taken, and brought back"
    assert kinds[MovementKind.DISPUTE_FEE] == -1500
    [refunds] = [page async for page in shop.gateway.refunds_between(EPOCH, FOREVER)]
    assert [(one.payment_id, one.amount) for one in refunds] == [(first.payment_id, Money(1000, "usd"))]
    lost = await shop.emulator.raise_alert(second.payment_id)
    assert [one.amount for one in await movements(shop) if one.source_id == lost["id"]] == [Money(-2900, "usd")]


async def test_a_payout_takes_the_balance_and_gives_it_back_when_it_fails(shop: Shop) -> None:
    await shop.buy()
    made = await shop.emulator.pay_out(fee=1, status="processing")
    [page] = [page async for page in shop.gateway.payouts_between(EPOCH, FOREVER)]
    assert [(one.payout_id, one.status, one.amount, one.fee) for one in page] == [
        (made["id"], PayoutStatus.PROCESSING, Money(2888, "usd"), Money(100, "usd"))
    ]
    assert sum(one.amount.amount_minor for one in await movements(shop)) == 0
    await shop.emulator.move_payout(made["id"], "failed")
    [page] = [page async for page in shop.gateway.payouts_between(EPOCH, FOREVER)]
    assert page[0].status is PayoutStatus.FAILED
    assert page[0].returned_at is not None
    assert sum(one.amount.amount_minor for one in await movements(shop)) == 2888
    with pytest.raises(RuntimeError, match="at most"):
        await shop.emulator.pay_out(amount=28.89)


async def test_amounts_finer_than_a_cent_stay_exact(shop: Shop) -> None:
    for amount, currency in (("0.00500001", "usd"), ("-0.12345678", "usd"), ("1.5", "jpy"), ("0.0005", "kwd")):
        await shop.emulator.add_movement("fx_percentage_fee", amount, currency=currency)
    found = sorted((one.amount.currency, one.amount.amount_minor, one.residue) for one in await movements(shop))
    assert found == [
        ("jpy", 2, -50_000_000),
        ("kwd", 1, -50_000_000),
        ("usd", -12, -34_567_800),
        ("usd", 1, -49_999_900),
    ]


async def test_a_range_holds_its_beginning_and_not_its_end(shop: Shop) -> None:
    _, payment = await shop.buy()
    at = payment.created_at
    assert at is not None
    tick = timedelta(microseconds=1)
    for since, until, number in ((at, at + tick, 1), (at - tick, at, 0), (at + tick, FOREVER, 0), (EPOCH, FOREVER, 1)):
        found = [one async for page in shop.gateway.payments_between(since, until) for one in page]
        assert len(found) == number
    posted = [one async for page in shop.gateway.movements_between(at, at + tick) for one in page]
    assert len(posted) == 3


async def test_pages_follow_each_other_without_a_gap(shop: Shop) -> None:
    for number in range(34):
        await shop.buy(email=f"buyer{number}@customer.test")
    pages = [page async for page in shop.gateway.movements_between(EPOCH, FOREVER)]
    ids = [one.movement_id for page in pages for one in page]
    assert [len(page) for page in pages] == [100, 2]
    assert len(set(ids)) == 102


@pytest.fixture
async def sdk(shop: Shop) -> AsyncIterator[AsyncWhop]:
    """The official client, whose typed models parse every answer."""
    environment = WhopEnvironment(api=shop.emulator.api_base_url, vault=shop.emulator.api_base_url)
    async with httpx.AsyncClient(trust_env=False) as http:
        yield AsyncWhop(token=shop.emulator.config.api_key, environment=environment, httpx_client=http, max_retries=0)


async def test_the_official_client_reads_everything(shop: Shop, sdk: AsyncWhop) -> None:
    _, payment = await shop.buy()
    paid_out = await shop.emulator.pay_out(amount=10)
    account = shop.emulator.config.account_id
    feed = await sdk.financial_activity.list(account_id=account, payment_id=payment.payment_id, direction="money_out")
    assert [one.line_type for one in feed.data] == [
        "payment_processing_percentage_fee",
        "payment_processing_fixed_fee",
    ]
    assert feed.data[0].payment is not None
    assert feed.data[0].usd_amount == "-0.81000000"
    assert not feed.page_info.has_next_page
    listed = [one async for one in await sdk.payouts.list(account_id=account, status="completed")]
    assert [one.id for one in listed] == [paid_out["id"]]
    assert (await sdk.payouts.retrieve(paid_out["id"])).net_amount == "10.00"
    assert (await sdk.payments.list_fees(payment.payment_id)).data[0].origin == "payment_processing_percentage_fee"


async def test_what_the_emulator_does_not_know_it_refuses(shop: Shop) -> None:
    for query in ("balance_type=total", "limit=0", "posted_after=yesterday", "direction=up", "nonsense=1", "cursor=x"):
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            await shop.api("GET", f"/financial_activity?{query}")
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await shop.api("GET", "/payouts?status=lost")
