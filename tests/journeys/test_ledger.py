"""The ledger at work: after purchases and refunds it has to the cent what Whop says is left of each payment."""

from decimal import Decimal
from typing import Any

import httpx

from quntedge.kit.money import Money
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_up
from tests.journeys.world import Product

LEFT = """
    SELECT paid.whop_payment_id, line.currency, sum(line.amount_minor)::bigint AS amount
    FROM payment_transaction AS paid
    JOIN ledger_entry AS entry ON entry.source = paid.id OR entry.transaction_id = paid.id
    JOIN ledger_line AS line ON line.entry_id = entry.id AND line.account = 'gateway_clearing'
    GROUP BY 1, 2
"""


def whop(product: Product) -> httpx.AsyncClient:
    """Somebody with Whop's own dashboard."""
    return httpx.AsyncClient(
        base_url=product.emulator.api_base_url, headers={"Authorization": "Bearer test-key"}, trust_env=False
    )


async def left_at_whop(product: Product) -> dict[tuple[str, str], int]:
    """What Whop says is left of each payment that was collected, in minor units."""
    async with whop(product) as client:
        answer = await client.get("/payments", params={"account_id": "biz_test", "first": "100"})
    found: list[dict[str, Any]] = answer.json()["data"]
    net = [payment["amount_after_fees"] | {"id": payment["id"]} for payment in found if payment["status"] == "paid"]
    return {
        (each["id"], each["currency"]): Money.parse(Decimal(each["amount"]), each["currency"]).amount_minor
        for each in net
    }


async def test_the_ledger_has_what_whop_says_is_left(product: Product) -> None:
    await product.emulator.set_taxes({"fr": 2000})
    async with product.browser() as kim, product.browser() as lou:
        for client, email, country in ((kim, "kim@customers.test", "fr"), (lou, "lou@customers.test", None)):
            await sign_up(client, email)
            started = await check_out(client, "quarterly")
            paid = await product.emulator.pay(checkout_of(started["purchase_url"]), email=email, country=country)
            assert paid["outcome"] == "paid"
        await product.settled()
        payments = sorted(await left_at_whop(product))
        assert len(payments) == 2
        async with whop(product) as client:
            for (payment_id, _), body in zip(payments, ({"partial_amount": 12.34}, {}), strict=True):
                refunded = await client.post(f"/payments/{payment_id}/refund", json=body)
                assert refunded.status_code == 200, refunded.text
        await product.advance(minutes=30)

        stands = {(row["whop_payment_id"], row["currency"]): row["amount"] for row in await product.rows(LEFT)}
        assert stands == await left_at_whop(product)
        work = product.runtime.bookkeeping.verification(product.runtime.engine)
        assert [finding async for portion in work.payments() for finding in portion.findings] == []
        assert [finding async for portion in work.entries() for finding in portion.findings] == []
        assert await work.sums() == []
        kinds = await product.rows("SELECT kind, count(*) FROM ledger_entry GROUP BY kind ORDER BY kind")
        assert kinds == [{"kind": "payment", "count": 2}, {"kind": "refund", "count": 2}]
