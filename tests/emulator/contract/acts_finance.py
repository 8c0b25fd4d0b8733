"""What stands on the balance, played with the official SDK: every kind of movement, every end of a payout."""

from quntedge.gateway.emulator.life.payouts import STATUSES
from tests.emulator.contract.stage import Stage


async def balance(stage: Stage) -> None:
    """A purchase with tax, given back in part, disputed, warned of; what it moved, page by page."""
    await stage.control("taxes", rates={"de": 1900}, behavior="inclusive")
    checkout = await stage.sdk.checkout_configurations.create(account_id=stage.account, plan_id=await stage.plan())
    paid = await stage.control("pay", checkout_id=checkout.id, email="books@customer.test", country="de")
    payment_id = paid["payment"]["id"]
    await stage.sdk.payments.refund(payment_id, partial_amount=5)
    await stage.emu.advance(days=1)
    dispute = await stage.emu.open_dispute(payment_id)
    await stage.emu.rule_dispute(dispute["id"], "won")
    await stage.emu.raise_alert(payment_id)
    await stage.emu.add_movement("fx_percentage_fee", "-0.00000001", payment_id=payment_id)
    await stage.emu.add_movement("onboarding_reward", "25")
    await stage.control("taxes", rates={})
    feed = stage.sdk.financial_activity.list
    whole = await feed(account_id=stage.account, payment_id=payment_id)
    assert {one.line_type for one in whole.data} == {
        "payment_gross",
        "payment_processing_percentage_fee",
        "payment_processing_fixed_fee",
        "sales_tax_remittance",
        "payment_refund",
        "payment_dispute",
        "payment_dispute_fee",
        "payment_dispute_reversal",
        "dispute_alert_fee",
        "fx_percentage_fee",
    }
    first = await feed(account_id=stage.account, payment_id=payment_id, limit=4)
    second = await feed(account_id=stage.account, payment_id=payment_id, limit=4, cursor=first.page_info.end_cursor)
    assert [one.id for one in (*first.data, *second.data)] == [one.id for one in whole.data[:8]]
    assert (await feed(account_id=stage.account, include_resource=False)).data


async def payouts(stage: Stage) -> None:
    """A payout of each status."""
    for status in STATUSES:
        made = await stage.emu.pay_out(amount=5, fee=1, status="requested")
        if status != "requested":
            await stage.emu.move_payout(made["id"], "completed" if status == "reversed" else status)
        if status == "reversed":
            await stage.emu.move_payout(made["id"], status)
        assert (await stage.sdk.payouts.retrieve(made["id"])).status == status
    assert len(await stage.walk(stage.sdk.payouts.list, account_id=stage.account)) == len(STATUSES)


FINANCE = (balance, payouts)
