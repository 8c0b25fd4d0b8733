"""A refund from the desk to the customer's mailbox, with webhooks, a worker and mails."""

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_up
from tests.journeys.world import Product


async def test_given_back_over_the_api_and_told_of_once(product: Product) -> None:
    async with product.runtime.units() as unit:
        _, key = await product.runtime.services.api_keys.create(unit, "desk", ["refunds:read", "refunds:request"])
        await unit.commit()
    async with product.browser() as kim, product.browser() as desk:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        (payment,) = (await kim.get("/api/payment/transactions")).json()["data"]
        await product.emulator.faults(fault="cut_after", match="POST /payments/*/refund", times=1)
        desk.headers["Authorization"] = f"Bearer {key}"
        asked = await desk.post(
            "/api/admin/refunds",
            json={"transaction": payment["id"], "reason": "service_problem"},
            headers={"Idempotency-Key": "k1"},
        )
        assert asked.status_code == 201, asked.text
        await product.advance(seconds=30)
        refund = (await desk.get(f"/api/admin/refunds/{asked.json()['id']}")).json()
        assert (refund["status"], refund["left"]["amount_minor"]) == ("succeeded", 0)
        (seen,) = (await kim.get("/api/payment/refunds")).json()["data"]
        assert (seen["id"], seen["status"], seen["amount"]["amount_minor"]) == (refund["id"], "succeeded", 7500)
        (payment,) = (await kim.get("/api/payment/transactions")).json()["data"]
        assert payment["status"] == "refunded"
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is True
        events = (await kim.get("/api/subscription/events")).json()["data"]
        assert [event["kind"] for event in events].count("payment.refunded") == 1
        made = await product.rows("SELECT count(*) AS number FROM refund")
        assert made == [{"number": 1}]
