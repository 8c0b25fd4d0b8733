"""Which mails are owed, once each, in the transaction of their cause."""

import asyncio
from dataclasses import replace

import pytest

from quntedge.notifications.rules import INVOICE_WAITS
from quntedge.notifications.service import NotificationService
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.events import SubscriptionChanged
from tests.notifications.world import MONTH_LATER, changed, failed, job_count, paid, rows


async def _kinds(units: UnitOfWorkFactory) -> list[tuple[str, str]]:
    return [(row.kind, row.cause_key) for row in await rows(units)]


@pytest.mark.parametrize(
    ("what", "kind", "end"),
    [
        ({"started": True, "trial": False}, "subscription_confirmed", MONTH_LATER.isoformat()),
        ({"started": True, "trial": True, "status": "trialing"}, "trial_started", MONTH_LATER.isoformat()),
        ({"started": False, "ended": True, "status": "canceled"}, "subscription_ended", MONTH_LATER.isoformat()),
        ({"started": False, "ended": True, "status": "canceled", "period_end": None}, "subscription_ended", "-"),
    ],
)
async def test_a_beginning_and_an_end_get_a_mail(
    units: UnitOfWorkFactory,
    service: NotificationService,
    user_id: str,
    plan_id: str,
    what: dict[str, object],
    kind: str,
    end: str,
) -> None:
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id, **what)])
        await unit.commit()
    assert await _kinds(units) == [(kind, f"{kind}:sub_1:mem_1:{end}:msg_1")]


async def test_a_subscription_that_is_revived_begins_and_ends_again(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    ended = changed(user_id, plan_id, started=False, ended=True, status="canceled", cause="msg_2")
    begun = changed(user_id, plan_id, cause="msg_1")
    occasions = [begun, ended, replace(begun, cause="msg_3"), replace(ended, cause="msg_4")]
    for fact in [*occasions, *occasions]:
        async with units() as unit:
            await service.on_subscription_changed(unit, [fact])
            await unit.commit()
    assert [kind for kind, _ in await _kinds(units)] == ["subscription_confirmed", "subscription_ended"] * 2


async def test_other_changes_get_none_and_wake_nobody(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    async with units() as unit:
        await service.on_subscription_changed(
            unit, [changed(user_id, plan_id, started=False, kind="subscription.renewed")]
        )
        await service.on_payment_recorded(unit, [failed(user_id, plan_id, "sub_1", newly_failed=False)])
        await unit.commit()
    assert await rows(units) == []
    assert await job_count(units) == 0


async def test_the_invoice_of_a_purchase_waits_for_its_confirmation(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    for _ in range(2):
        async with units() as unit:
            await service.on_invoice_paid(unit, [paid(user_id, plan_id, None, billing_reason="subscription_create")])
            await unit.commit()
    (row,) = await rows(units, "kind, cause_key, due_at - created_at AS waits")
    assert (row.kind, row.cause_key, row.waits) == ("invoice", "invoice:inv_1", INVOICE_WAITS)
    assert await job_count(units) == 0, "nobody is woken before it is due"


@pytest.mark.parametrize("reason", ["subscription_cycle", "subscription_update"])
async def test_a_renewal_gets_one_mail_for_its_invoice(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str, reason: str
) -> None:
    for _ in range(2):
        async with units() as unit:
            await service.on_invoice_paid(unit, [paid(user_id, plan_id, None, billing_reason=reason)])
            await unit.commit()
    assert await _kinds(units) == [("renewal_paid", "renewal_paid:inv_1")]


async def test_each_failed_attempt_gets_one_mail(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    async with units() as unit:
        attempts = [failed(user_id, plan_id, "sub_1", failed_attempt=number) for number in (1, 1, 2)]
        await service.on_payment_recorded(unit, attempts)
        await unit.commit()
    assert [key for _, key in await _kinds(units)] == ["payment_failed:pay_1:1", "payment_failed:pay_1:2"]


async def test_a_batch_wakes_the_sender_once_and_a_repetition_never(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    facts = [changed(user_id, plan_id, f"sub_{number}") for number in range(50)]
    for _ in range(2):
        async with units() as unit:
            await service.on_subscription_changed(unit, [*facts, facts[0]])
            await unit.commit()
    assert len(await rows(units)) == 50
    assert await job_count(units) == 1


async def test_mail_and_job_vanish_with_the_transaction(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    async with units() as unit:
        assert await service.queue(unit, []) == 0
        await service.on_subscription_changed(unit, [changed(user_id, plan_id)])
        await unit.rollback()
    assert await rows(units) == []
    assert await job_count(units) == 0


async def test_the_same_cause_from_twenty_transactions_at_once_is_one_mail(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    async def once(number: int) -> None:
        facts = [changed(user_id, plan_id, f"sub_{n}") for n in range(50)]
        async with units() as unit:
            await service.on_subscription_changed(unit, facts if number % 2 else facts[::-1])
            await unit.commit()

    await asyncio.gather(*(once(number) for number in range(20)))
    assert len(await rows(units)) == 50


async def test_mails_are_inserted_in_the_order_of_their_keys(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    # Two transactions that insert the same keys in different orders can wait for each other in a circle.
    facts = [changed(user_id, plan_id, f"sub_{letter}") for letter in "cab"]
    async with units() as unit:
        await service.on_subscription_changed(unit, facts)
        await unit.commit()
    keys = [row.cause_key for row in await rows(units)]
    assert keys == sorted(keys)


async def test_facts_reach_the_service_through_the_bus(
    units: UnitOfWorkFactory, bus: EventBus, service: NotificationService, user_id: str, plan_id: str
) -> None:
    bus.subscribe(SubscriptionChanged, service.on_subscription_changed)
    async with units() as unit:
        unit.record(changed(user_id, plan_id))
        await unit.commit()
    assert len(await rows(units)) == 1


async def test_the_queue_holds_no_personal_data(
    units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str
) -> None:
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id)])
        await service.on_invoice_paid(unit, [paid(user_id, plan_id, "sub_1")])
        await service.on_payment_recorded(unit, [failed(user_id, plan_id, "sub_1")])
        await unit.commit()
    content = str(await rows(units, "*"))
    assert "kim" not in content.lower()
    assert "doe" not in content.lower()
