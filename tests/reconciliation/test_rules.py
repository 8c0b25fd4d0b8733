"""The rules alone: causes, amounts, repairs, months."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.api.reconciliation_models import CauseName
from quntedge.reconciliation import rules
from quntedge.reconciliation.rules import CAUSES, Cause, Measure, Repair, Sides

AT = datetime(2026, 10, 5, 12, tzinfo=UTC)
EQUAL = Sides(
    "payment", "pay_1", Measure.CHARGE, "usd", 100, 100, 100,
    listed=True, held=True, fresh=False, finer=False, occurred_at=AT, transaction_id="txn_1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "cause", "repair", "amount"),
    [
        ({"fresh": True, "ledger": 0}, Cause.TIMING, None, 100),
        ({"recorded": 0, "ledger": 0, "held": False}, Cause.MISSING_HERE, Repair.READ_PAYMENT, 100),
        ({"gateway": 0, "listed": False}, Cause.MISSING_AT_GATEWAY, None, -100),
        ({"recorded": 0, "ledger": 0}, Cause.STATUS, Repair.READ_PAYMENT, 100),
        ({"recorded": 90, "ledger": 90}, Cause.AMOUNT, Repair.READ_PAYMENT, 10),
        ({"recorded": 90}, Cause.AMOUNT, Repair.READ_PAYMENT, 10),
        ({"ledger": 0}, Cause.LEDGER_MISSING, Repair.POST_RECORDS, 100),
        ({"ledger": 99}, Cause.LEDGER_AMOUNT, None, 1),
        ({"gateway": None, "ledger": 90}, Cause.LEDGER_AMOUNT, None, 10),
        ({"measure": Measure.FEE, "gateway": 110}, Cause.FEE, None, 10),
        ({"measure": Measure.FEE, "gateway": 110, "recorded": None}, Cause.FEE, Repair.POST_FEE, 10),
        ({"measure": Measure.FEE, "gateway": 101, "finer": True}, Cause.ROUNDING, Repair.POST_ROUNDING, 1),
        ({"measure": Measure.FEE, "gateway": 102, "finer": True}, Cause.FEE, None, 2),
        ({"measure": Measure.DISPUTE, "recorded": 0, "ledger": 0}, Cause.DISPUTE, Repair.READ_DISPUTES, 100),
        ({"measure": Measure.DISPUTE, "ledger": 0}, Cause.LEDGER_MISSING, Repair.POST_RECORDS, 100),
        ({"object_kind": "refund", "measure": Measure.REFUND, "ledger": 0},
         Cause.LEDGER_MISSING, Repair.POST_RECORDS, 100),
        ({"object_kind": "refund", "measure": Measure.REFUND, "gateway": 0}, Cause.REFUND, Repair.READ_PAYMENT, -100),
        ({"object_kind": "payout", "measure": Measure.PAYOUT, "recorded": None, "ledger": 0, "held": False},
         Cause.PAYOUT, Repair.POST_PAYOUT, 100),
        ({"object_kind": "movement", "measure": Measure.OTHER, "recorded": None, "ledger": 0, "held": False},
         Cause.MOVEMENT, None, 100),
        ({"gateway": 0, "recorded": 0, "listed": False, "held": False}, Cause.LEDGER_ORPHAN, None, -100),
        ({"moved": 90}, Cause.MOVED, None, -10),
        ({"moved": 90, "fresh": True}, Cause.TIMING, None, -10),
        ({"moved": 101, "finer": True}, Cause.ROUNDING, Repair.POST_ROUNDING, 1),
        ({"moved": 110, "gateway": 110}, Cause.AMOUNT, Repair.READ_PAYMENT, 10),
        ({"moved": 110, "gateway": None, "recorded": None, "measure": Measure.REFUND}, Cause.MOVED, None, 10),
        ({"moved": 110, "gateway": None, "recorded": None, "ledger": 0, "converted": True},
         Cause.CONVERSION, Repair.POST_CONVERSION, 110),
        ({"moved": 110, "gateway": None, "recorded": None, "ledger": 0, "converted": True, "held": False},
         Cause.CONVERSION, None, 110),
        ({"object_kind": "payout", "measure": Measure.PAYOUT, "gateway": 0, "recorded": None, "listed": False,
          "held": False}, Cause.MISSING_AT_GATEWAY, None, -100),
        ({"moved": 7, "gateway": 0, "recorded": 0, "ledger": 0, "listed": False, "held": False},
         Cause.MOVEMENT, None, 7),
    ],
)  # fmt: skip
def test_each_way_to_differ(change: dict[str, object], cause: Cause, repair: Repair | None, amount: int) -> None:
    sides = replace(EQUAL, **change)  # type: ignore[arg-type]
    assert rules.differs(sides)
    assert rules.cause_of(sides) is cause
    assert rules.repair_of(sides, cause) is repair
    assert rules.amount_of(sides) == amount
    assert rules.detail_of(sides, cause)
    assert rules.owner_of(cause)


def test_a_month_differs_without_an_amount() -> None:
    sides = replace(
        EQUAL, measure=Measure.MONTH, gateway=None, recorded=None, ledger=None, gateway_status="2026-10-01",
        recorded_status="2026-09-30",
    )  # fmt: skip
    assert rules.differs(sides)
    cause = rules.cause_of(sides)
    assert (cause, rules.repair_of(sides, cause), rules.owner_of(cause)) == (Cause.MONTH, None, "finance")
    assert rules.detail_of(sides, cause) == "collected on 2026-10-01 at the gateway, on 2026-09-30 in the ledger"
    assert not rules.differs(replace(sides, recorded_status="2026-10-01"))


def test_every_cause_can_be_asked_for_over_the_api() -> None:
    assert set(get_args(CauseName)) == set(CAUSES)


def test_a_status_differs_without_an_amount() -> None:
    sides = replace(
        EQUAL, measure=Measure.STATUS, gateway=None, recorded=None, ledger=None, gateway_status="void",
        recorded_status="open",
    )  # fmt: skip
    assert rules.differs(sides)
    assert (rules.cause_of(sides), rules.amount_of(sides)) == (Cause.STATUS, 0)
    assert rules.detail_of(sides, Cause.STATUS) == "void at the gateway, open here"
    assert not rules.differs(replace(sides, recorded_status="void"))


def test_who_says_nothing_contradicts_nobody() -> None:
    assert not rules.differs(EQUAL)
    assert not rules.differs(replace(EQUAL, gateway=None))
    assert not rules.differs(replace(EQUAL, recorded=None))


@given(
    st.timedeltas(timedelta(0), timedelta(days=3650)),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=4000)),
    st.lists(st.integers(0, 300)),
)
@settings(max_examples=60, deadline=None)
def test_pieces_fill_the_range_and_are_short_where_there_is_much(
    later: timedelta, whole: timedelta, rows: list[int]
) -> None:
    since = datetime(2020, 1, 1, tzinfo=UTC) + later
    until = since + whole
    for within_month in (True, False):
        found, position, length = iter(rows), since, rules.SLICE
        while position < until:
            end = rules.end_of_piece(position, until, length, within_month=within_month)
            assert position < end <= min(until, position + length)
            if within_month:
                assert rules.period_of(position) == rules.period_of(end - timedelta(microseconds=1))
            counted = next(found, 0)
            position, length = end, rules.next_length(length, counted)
            assert counted <= rules.LITTLE or length == rules.SLICE
        assert position == until


def test_a_gap_of_two_years_takes_few_calls() -> None:
    since, until, length, calls = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), rules.SLICE, 0
    while since < until:
        since, calls = rules.end_of_piece(since, until, length, within_month=False), calls + 1
        length = rules.next_length(length, 0)
    assert calls == 7


def test_a_month_has_bounds() -> None:
    begin, end = rules.bounds_of("2026-12")
    assert (begin, end) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    for wrong in ("2026-00", "2026-13", "26-12", "2026-12-01", "٢٠٢٦-١٢", ""):
        with pytest.raises(ValueError, match="a month"):
            rules.bounds_of(wrong)
