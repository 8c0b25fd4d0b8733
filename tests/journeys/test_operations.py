"""What those who run it look at, and the way to the gateway's portal."""

from sqlalchemy import text

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_up
from tests.journeys.world import Product


async def test_metrics_count_what_happened_and_survive_the_loss_of_the_database(product: Product) -> None:
    async with product.browser() as client:
        await sign_up(client, "kim@customers.test")
        started = await check_out(client, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        assert (await client.get("/health/ready")).json()["status"] == "ready"
        metrics = (await client.get("/metrics")).text
        assert "quntedge_webhooks_waiting 0.0" in metrics
        assert 'quntedge_webhooks_stored_total{result="new"}' in metrics
        assert 'quntedge_webhooks_applied_total{state="processed"}' in metrics
        async with product.runtime.units() as unit:
            await unit.session.execute(text("ALTER TABLE webhook_event RENAME TO away"))
            await unit.commit()
        metrics = await client.get("/metrics")
        assert metrics.status_code == 200
        assert "quntedge_webhooks_waiting NaN" in metrics.text
        assert (await client.get("/health/live")).status_code == 200
        async with product.runtime.units() as unit:
            await unit.session.execute(text("ALTER TABLE away RENAME TO webhook_event"))
            await unit.commit()


async def test_a_customer_is_led_to_the_portal_of_their_own_membership(product: Product) -> None:
    async with product.browser() as client:
        await sign_up(client, "kim@customers.test")
        nothing = await client.get("/billing/manage", headers={"accept": "text/html"})
        assert nothing.status_code == 404
        started = await check_out(client, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        led = await client.get("/billing/manage")
        assert led.status_code == 303
        assert led.headers["location"].startswith(product.emulator.url)
        assert (await client.get(led.headers["location"])).status_code == 200
