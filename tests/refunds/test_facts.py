"""What other parts hear of refunds: every move once, what counts exactly once, and what it came to for the payment."""

from collections.abc import Sequence

import pytest

from quntedge.kit.money import Money
from quntedge.refunds.events import PaymentRefunded, RefundMoved
from quntedge.storage.unit_of_work import UnitOfWork
from tests.refunds.world import LOU, World


@pytest.fixture
def heard(world: World) -> list[RefundMoved | PaymentRefunded]:
    """The facts, in the order in which they were recorded."""
    facts: list[RefundMoved | PaymentRefunded] = []

    async def listen(unit: UnitOfWork, found: Sequence[RefundMoved | PaymentRefunded]) -> None:
        facts.extend(found)

    for kind in (RefundMoved, PaymentRefunded):
        world.runtime.services.units.bus.subscribe(kind, listen)
    return facts


def told(facts: list[RefundMoved | PaymentRefunded]) -> list[tuple[object, ...]]:
    """What matters of them; the list is empty afterwards."""
    found = [
        (fact.before_status, fact.status, fact.counted, fact.uncounted)
        if isinstance(fact, RefundMoved)
        else (fact.kind, fact.amount_minor, fact.refunded_minor)
        for fact in facts
    ]
    facts.clear()
    return found


async def test_each_move_is_told_once_and_counts_once(world: World, heard: list[RefundMoved | PaymentRefunded]) -> None:
    payer = await world.buy()
    first = await world.ask(payer, Money(2500, "usd"))
    assert told(heard) == [("sending", "pending", False, False)]
    await world.settles(payer)
    fact = next(fact for fact in heard if isinstance(fact, RefundMoved))
    assert (fact.refund_id, fact.amount_minor, fact.reason) == (first.id, 2500, "requested_by_customer")
    assert told(heard) == [("pending", "succeeded", True, False), ("payment.partially_refunded", 2500, 2500)]
    for _ in range(3):
        await world.hear(payer.membership_id)
    assert told(heard) == []
    await world.give(payer)
    assert told(heard) == [
        ("sending", "pending", False, False),
        ("pending", "succeeded", True, False),
        ("payment.refunded", 5000, 7500),
    ]


async def test_what_had_counted_and_failed_after_all_is_taken_back(
    world: World, heard: list[RefundMoved | PaymentRefunded]
) -> None:
    payer = await world.buy()
    row = await world.give(payer, Money(2500, "usd"))
    told(heard)
    made = world.emulator.runtime.world.store.tables.refunds[str(row.whop_refund_id)]
    made.status, made.failure_reason = "failed", "bank_declined"
    await world.emulator.advance(seconds=1)
    world.emulator.runtime.world.store.touch(made, world.emulator.runtime.world.now())
    await world.hear(payer.membership_id)
    assert told(heard) == [("succeeded", "failed", False, True)]
    assert await world.payment(payer) == ("paid", 0, False)
    assert await world.held(payer) == 0


async def test_one_made_at_the_gateway_is_told_from_its_first_sight(
    world: World, heard: list[RefundMoved | PaymentRefunded]
) -> None:
    payer = await world.buy("yearly")
    await world.runtime.gateway.refund_payment(payer.payment_id, amount=None, metadata={}, idempotency_key="dashboard")
    await world.settles(payer)
    whole = payer.total.amount_minor
    assert told(heard) == [(None, "succeeded", True, False), ("payment.refunded", whole, whole)]
    (entry,) = await world.rows("SELECT kind, actor FROM subscription_event WHERE kind LIKE 'payment.%'")
    assert entry == {"kind": "payment.refunded", "actor": "whop"}


async def test_the_history_says_who_was_behind_it(world: World) -> None:
    payer = await world.buy("yearly")
    await world.give(payer)
    (entry,) = await world.rows("SELECT actor, after FROM subscription_event WHERE kind = 'payment.refunded'")
    assert entry["actor"] == LOU
    assert entry["after"]["refund"]["amount_minor"] == payer.total.amount_minor


async def test_metadata_that_names_somebody_elses_refund_is_not_believed(world: World) -> None:
    kim, other = await world.buy(), await world.buy()
    row = await world.ask(kim, Money(2500, "usd"))
    metadata = {"our_refund_id": row.id}
    for payer, key in ((other, "a"), (kim, "b")):
        await world.runtime.gateway.refund_payment(
            payer.payment_id, amount=Money(100, "usd"), metadata=metadata, idempotency_key=key
        )
        await world.settles(payer)
    rows = await world.rows("SELECT amount_minor, requested_by IS NULL AS elsewhere FROM refund ORDER BY amount_minor")
    assert [(found["amount_minor"], found["elsewhere"]) for found in rows] == [(100, True), (100, True), (2500, False)]
