"""What the tables hold of payments after Whop was heard, in whatever order and however often."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.gateway.port import MethodSnapshot, PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments import rules
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.records import state_from_snapshot
from quntedge.payments.rules import PaymentState, Verdict
from quntedge.payments.service import DisputeTotal, PaymentService, RefundTotal
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.payments.builders import AT, apply, rows, seed, snapshot

LATER = AT + timedelta(hours=1)
FULL: dict[str, Any] = {
    "subtotal": Money(3500, "usd"),
    "tax": Money(261, "usd"),
    "tax_behavior": "exclusive",
    "presentment": Money(2950, "eur"),
    "net": Money(3035, "usd"),
    "substatus": "succeeded",
    "member_id": "mber_1",
    "promo_code_id": "promo_1",
    "payment_method_id": "payt_1",
    "method": MethodSnapshot("card", "visa", "4242", 4, 2030),
}


async def test_everything_that_whop_tells_is_kept(units: UnitOfWorkFactory) -> None:
    await seed(units)
    async with units() as unit:
        await apply(unit, snapshot(**FULL))
        await unit.commit()
    columns = (
        "subtotal_minor, discount_minor, tax_minor, tax_behavior, total_minor, presentment_minor,"
        " presentment_currency, fee_minor, net_minor, disputed_minor, whop_member_id, whop_promo_code_id,"
        " whop_method_id, method_exp_month, method_exp_year"
    )
    assert await rows(units, f"SELECT {columns} FROM payment_transaction") == [
        (3500, 600, 261, "exclusive", 3161, 2950, "eur", 126, 3035, 0, "mber_1", "promo_1", "payt_1", 4, 2030)
    ]


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"net": Money(2900, "eur")}, (None, None)),
        ({"net": None}, (None, None)),
        ({"net": Money(0, "usd"), "status": PaymentStatus.OPEN, "raw_status": "open"}, (None, 0)),
        ({"refunded": Money(500, "usd"), "substatus": "partially_refunded"}, (None, 3035)),
    ],
    ids=["settled in another currency", "not told", "not paid", "something was given back"],
)
async def test_a_fee_is_never_guessed(
    units: UnitOfWorkFactory, over: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    await seed(units)
    async with units() as unit:
        await apply(unit, snapshot(**(FULL | over)))
        await unit.commit()
    assert await rows(units, "SELECT fee_minor, net_minor FROM payment_transaction") == [expected]


async def test_disputes_and_refunds_are_summed_up_side_by_side(units: UnitOfWorkFactory) -> None:
    await seed(units)
    heard: list[PaymentRecorded] = []

    async def listen(unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        heard.extend(facts)

    units.bus.subscribe(PaymentRecorded, listen)
    service = PaymentService()
    async with units() as unit:
        await apply(unit, snapshot(**FULL))
        await unit.commit()
    [(found,)] = await rows(units, "SELECT id FROM payment_transaction")
    async with units() as unit:
        await service.apply_dispute_totals(unit, [DisputeTotal(found, 3161, "needs_response", "dispute")])
        await service.apply_dispute_totals(unit, [DisputeTotal(found, 3161, "needs_response", "again")])
        await service.apply_refund_totals(unit, [RefundTotal(found, 500, False, "refund")])
        await unit.commit()
    async with units() as unit:
        await apply(unit, snapshot(at=LATER, **FULL))
        await unit.commit()
    query = "SELECT status, refunded_minor, disputed_minor, dispute_status FROM payment_transaction"
    assert await rows(units, query) == [("partially_refunded", 500, 3161, "needs_response")]
    assert [(fact.cause, fact.disputed_minor, fact.newly_paid) for fact in heard] == [
        ("msg_1", 0, True),
        ("dispute", 3161, False),
        ("refund", 3161, False),
        ("msg_1", 3161, False),
    ]
    first = heard[0]
    assert (first.discount_minor, first.fee_minor, first.net_minor, first.tax_behavior) == (600, 126, 3035, "exclusive")
    assert (first.whop_member_id, first.whop_method_id, first.whop_promo_code_id) == ("mber_1", "payt_1", "promo_1")
    assert (first.method_last4, first.method_exp_month, first.method_exp_year) == ("4242", 4, 2030)
    async with units() as unit:
        await service.apply_dispute_totals(unit, [DisputeTotal(found, 0, "won", "dispute")])
        await unit.commit()
    assert await rows(units, query) == [("partially_refunded", 500, 0, "won")]


async def test_attempts_are_counted_once_whatever_the_order(units: UnitOfWorkFactory) -> None:
    await seed(units)

    def failed(number: int, at_hours: int) -> PaymentSnapshot:
        at = AT + timedelta(hours=at_hours)
        return snapshot(
            at=at,
            status=PaymentStatus.OPEN,
            raw_status="open",
            attempt_failed=True,
            payments_failed=number,
            decline_code="insufficient_funds" if number == 1 else "lost_card",
            last_attempt_at=at,
            paid_at=None,
        )

    paid = snapshot(at=AT + timedelta(hours=3), payments_failed=2)
    async with units() as unit:
        await apply(unit, failed(2, 2), paid, failed(1, 1), failed(2, 2), paid)
        await unit.commit()
    assert await rows(units, "SELECT number, decline_class FROM payment_attempt ORDER BY number") == [
        (1, "soft"),
        (2, "hard"),
    ]
    assert await rows(units, "SELECT status, attempts_failed FROM payment_transaction") == [("paid", 2)]


_STATUSES = st.sampled_from(list(PaymentStatus))
_TOLD = st.builds(
    lambda status, minute, failed, refunded, substatus: snapshot(
        at=AT + timedelta(minutes=minute),
        status=status,
        raw_status=status.value,
        substatus=substatus,
        payments_failed=failed,
        attempt_failed=status is PaymentStatus.OPEN and failed > 0,
        refunded=Money(refunded, "usd"),
        paid_at=AT if status is PaymentStatus.PAID else None,
    ),
    status=_STATUSES,
    minute=st.integers(0, 5),
    failed=st.integers(0, 3),
    refunded=st.sampled_from([0, 0, 1, 3160, 3161]),
    substatus=st.sampled_from([None, "succeeded", "failed", "past_due"]),
)


def _hear(told: Sequence[PaymentSnapshot], *, from_gateway: bool) -> list[PaymentState]:
    """The states a payment goes through; what must be read again is left out, as if that had not worked."""
    held: PaymentState | None = None
    states: list[PaymentState] = []
    for one in told:
        incoming = state_from_snapshot(one)
        if rules.judge(held, incoming, from_gateway=from_gateway) is Verdict.APPLY:
            held = rules.merge(held, incoming)
            states.append(held)
    return states


def _rank(state: PaymentState) -> tuple[int, int, int]:
    """Without what was given back: amounts decide on that, not the order of news."""
    paid, _, _ = rank = rules.rank(state.status, state.attempts_failed)
    return (paid, 0, 0) if rules.is_paid(state.status) else rank


@given(st.data())
def test_the_rank_of_a_payment_never_falls_in_any_order_with_any_repetition(data: st.DataObject) -> None:
    history = data.draw(st.lists(_TOLD, min_size=1, max_size=8))
    told = data.draw(st.permutations([*history, *data.draw(st.lists(st.sampled_from(history), max_size=6))]))
    for from_gateway in (True, False):
        states = _hear(told, from_gateway=from_gateway)
        ranks = [_rank(state) for state in states]
        assert ranks == sorted(ranks), [state.status for state in states]
        assert [state.attempts_failed for state in states] == sorted(state.attempts_failed for state in states)


_LIFE = (
    ("draft", 0),
    ("open", 0),
    ("pending", 0),
    ("open", 1),
    ("open", 2),
    ("pending", 2),
    ("paid", 2),
)


@given(st.permutations([*range(len(_LIFE)), *range(len(_LIFE))]))
def test_every_order_of_a_payments_life_leads_to_its_end(order: Sequence[int]) -> None:
    told = [
        snapshot(
            at=AT + timedelta(minutes=position),
            status=PaymentStatus(_LIFE[position][0]),
            raw_status=_LIFE[position][0],
            payments_failed=_LIFE[position][1],
            attempt_failed=_LIFE[position][0] == "open" and _LIFE[position][1] > 0,
            paid_at=AT if _LIFE[position][0] == "paid" else None,
        )
        for position in order
    ]
    last = _hear(told, from_gateway=False)[-1]
    assert (last.status, last.attempts_failed, last.paid_at) == ("paid", 2, AT)
