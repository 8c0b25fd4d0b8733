"""What customers do about an open payment, and what their doing does to what was planned."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from quntedge.dunning.errors import MethodNotFound, NothingToConfirm, NothingToRecover, RecoveryRunning
from quntedge.dunning.queries import open_case
from quntedge.dunning.rules import Step
from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn
from quntedge.webhooks.apply import Evidence
from tests.dunning.world import ALWAYS_ASKS, FAILS_LATER, World, dies


async def overdue(world: World, card: str = FAILS_LATER) -> None:
    """The first renewal was declined an hour ago."""
    await world.buy(card)
    await world.jump(hours=90 * 24 + 1)
    await world.hear()


async def test_another_card_pays_at_once_and_brings_everything_back(world: World) -> None:
    await overdue(world)
    recovery = world.runtime.services.dunning.recovery
    with pytest.raises(MethodNotFound):
        await recovery.pay_with(world.user_id, "payt_of_somebody_else")
    declined, good = await world.save_card(FAILS_LATER), await world.save_card()
    case = await recovery.case(world.user_id)
    assert [method.method_id for method in await recovery.methods(case)][:2] == [good, declined]
    tried = await recovery.pay_with(world.user_id, declined)
    assert (tried.state, await world.status()) == ("failed", "past_due")
    assert tried.case is not None
    assert [attempt.actor for attempt in tried.case.attempts] == ["whop", "customer"]
    assert (await recovery.pay_with(world.user_id, good)).state == "paid"
    await world.hear()
    assert (await world.status(), await world.allowed()) == ("active", True)
    assert (await world.case())["closed_by"] == "customer"
    assert await world.mails() == ["payment_failed"] * 2 + ["payment_recovered"]
    with pytest.raises(NothingToRecover):
        await recovery.pay_with(world.user_id, good)


async def test_two_clicks_are_one_payment(world: World) -> None:
    await overdue(world)
    good = await world.save_card()
    await world.change("UPDATE dunning_case SET process_id = 'prc_other'")
    with pytest.raises(RecoveryRunning):
        await world.runtime.services.dunning.recovery.pay_with(world.user_id, good)
    assert await world.attempts() == [("whop", "failed")]


async def test_the_bank_asks_and_the_customer_confirms(world: World) -> None:
    await overdue(world, ALWAYS_ASKS)
    recovery = world.runtime.services.dunning.recovery
    case = await recovery.case(world.user_id)
    assert (case.step, case.confirmable, case.decline_class) == (Step.CONFIRM, True, "customer_must_act")
    assert await world.mails() == ["payment_failed"]
    url = await recovery.confirm_url(world.user_id)
    assert "/challenge/" in url
    async with httpx.AsyncClient(trust_env=False) as browser:
        answered = await browser.post(url, data={"password": "Checkout1!"})
    assert answered.status_code < 400
    await world.hear()
    assert (await world.case())["state"] == "recovered"
    assert await world.mails() == ["payment_failed", "payment_recovered"]
    with pytest.raises(NothingToRecover):
        await recovery.confirm_url(world.user_id)


async def test_nothing_to_confirm_where_the_bank_only_declined(world: World) -> None:
    await overdue(world)
    with pytest.raises(NothingToConfirm):
        await world.runtime.services.dunning.recovery.confirm_url(world.user_id)


async def test_who_cancels_is_not_charged_any_more(patient: World) -> None:
    await overdue(patient)
    await patient.jump(hours=5 * 24)
    await patient.hear()
    before = await patient.case()
    assert before["next_attempt_at"] is not None
    (subscription,) = await patient.rows("SELECT id FROM subscription")
    actor = f"customer:{patient.user_id}"
    async with patient.runtime.units() as unit:
        unit.record(CancellationRequested(subscription["id"], patient.user_id, False, actor, "test"))
        await unit.commit()
    leaving = await patient.case()
    assert (leaving["next_attempt_at"], leaving["end_at"], leaving["pause_access_at"]) == (None, None, None)
    async with patient.runtime.units() as unit:
        unit.record(CancellationWithdrawn(subscription["id"], patient.user_id, actor, "test"))
        await unit.commit()
    assert (await patient.case())["next_attempt_at"] == before["next_attempt_at"]
    async with patient.runtime.units() as unit:
        unit.record(CancellationRequested(subscription["id"], patient.user_id, False, actor, "test"))
        await unit.commit()
    await patient.runtime.gateway.cancel_membership(patient.membership_id, at_period_end=False, idempotency_key="bye")
    await patient.hear()
    case = await patient.case()
    assert (case["state"], case["outcome"], case["closed_by"]) == ("canceled", "cancellation", "customer")
    assert "ended_unpaid" not in await patient.mails()


@pytest.mark.long
async def test_who_was_refused_to_cancel_is_not_charged_and_ends_with_the_others(patient: World) -> None:
    await overdue(patient)
    (subscription,) = await patient.rows("SELECT id FROM subscription")
    async with patient.runtime.units() as unit:
        # As Whop has left it: asked for, and never done.
        unit.record(CancellationRequested(subscription["id"], patient.user_id, False, "customer:kim", "can_refused"))
        await unit.commit()
    await patient.travel(days=12)
    assert await patient.status() == "past_due"
    await patient.travel(days=3)
    # Whop's own attempts, and none of ours.
    assert await patient.at_whop() == ("canceled", {"status": "void", "failed": 4})
    case = await patient.case()
    assert (case["state"], case["outcome"], case["attempts_own"]) == ("canceled", "cancellation", 0)
    assert (await patient.mails())[-1] == "subscription_ended"


async def test_a_refusal_of_the_gateway_ends_our_tries_but_not_the_subscription(
    patient: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await overdue(patient)
    await patient.jump(hours=5 * 24)
    await patient.hear()
    await patient.jump(to=(await patient.case())["next_attempt_at"])
    gateway = patient.runtime.gateway
    refused = dies("before", gateway.retry_payment, GatewayRejected("Whop answered payments.retry with 409."))
    monkeypatch.setattr(gateway, "retry_payment", refused)
    await patient.work()
    case = await patient.case()
    assert (case["retries_refused"], case["attempts_own"], case["next_attempt_at"]) == (True, 1, None)
    assert case["end_at"] is not None
    assert (await patient.attempts())[-1] == ("us", "refused")
    assert (await patient.at_whop())[1]["failed"] == 4
    # A card that nobody has tried is tried again.
    good = await patient.save_card(FAILS_LATER)
    await patient.runtime.services.dunning.recovery.pay_with(patient.user_id, good)
    case = await patient.case()
    assert (case["retries_refused"], case["attempts_own"]) == (False, 0)
    assert case["next_attempt_at"] is not None


async def test_a_payment_the_gateway_does_not_know_any_more_is_left_to_people(
    patient: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await overdue(patient)
    await patient.jump(hours=5 * 24)
    await patient.hear()
    await patient.jump(to=(await patient.case())["next_attempt_at"])
    gateway = patient.runtime.gateway
    missing = dies("before", gateway.payment, GatewayNotFound("Whop answered payments.retrieve with 404."))
    monkeypatch.setattr(gateway, "payment", missing)
    await patient.work()
    case = await patient.case()
    assert (case["needs_review"], case["next_attempt_at"], case["end_at"]) == (True, None, None)
    # It is looked at again every day, and goes on as soon as it makes sense.
    assert case["look_at"] - case["looked_at"] == timedelta(days=1)
    await patient.jump(to=case["look_at"])
    await patient.work()
    case = await patient.case()
    assert case["needs_review"] is False
    assert (case["attempts_own"], case["next_attempt_at"] is not None) == (1, True)


async def test_money_that_comes_after_the_end_is_left_to_people(world: World) -> None:
    await overdue(world)
    await world.jump(hours=6 * 24)
    await world.hear()
    assert (await world.case())["state"] == "exhausted"
    (payment, *_) = await world.runtime.gateway.payments_of(world.membership_id)
    paid = await world.runtime.gateway.payment(payment.payment_id)
    late = replace(paid, status=type(paid.status).PAID, raw_status="paid", paid_at=world.clock.now())
    await world.told(Evidence(payments=(late,), from_gateway=True))
    case = await world.case()
    assert (case["state"], case["needs_review"]) == ("exhausted", True)


async def test_a_case_is_shown_to_its_customer_alone(world: World) -> None:
    await overdue(world)
    async with world.runtime.units() as unit:
        assert await open_case(unit.session, "usr_somebody") is None
        case = await open_case(unit.session, world.user_id)
    assert case is not None
    assert case.amount is not None
    assert (case.amount.amount_minor, case.step, case.access_paused) == (7500, Step.RETRY, False)
    assert case.next_try_at is not None
    assert case.access_until is not None
    assert case.ends_at is None
