"""The pure part: order, what is withdrawn, deadlines, policy, and the file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from quntedge.disputes.evidence import (
    LONGEST_TEXT,
    Buyer,
    DisputedCharge,
    DisputeRecords,
    Happening,
    Purchase,
    compose,
)
from quntedge.disputes.rules import (
    LOOK_EVERY,
    OPEN,
    REMIND_BEFORE,
    STATUSES,
    Action,
    DisputeState,
    Reminder,
    Verdict,
    action_for,
    judge,
    look_at,
    paid_out_twice,
    payment_dispute,
    remind_at,
    reminder,
    withdrawn,
)
from quntedge.gateway.disputed import DisputeStatus
from quntedge.kit.money import Money

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
STATE = DisputeState(
    status="needs_response",
    raw_status="needs_response",
    inquiry=False,
    amount_minor=2900,
    currency="usd",
    withdrawn_minor=2900,
    fee_minor=1500,
    fee_currency="usd",
    reason="fraudulent",
    reason_code="10.4",
    evidence_due_at=AT + timedelta(days=7),
    evidence_submitted_at=None,
    editable=True,
    locked_reason=None,
    acceptable=True,
    gateway_updated_at=AT,
)


def test_the_statuses_are_those_of_the_gateway() -> None:
    assert set(STATUSES) == {status.value for status in DisputeStatus}


def test_in_whichever_order_snapshots_come_the_last_word_stands() -> None:
    story = [
        replace(STATE, status=status, raw_status=status, gateway_updated_at=AT + timedelta(hours=hour))
        for hour, status in enumerate(("needs_response", "under_review", "won"))
    ]
    for order in permutations(story):
        held: DisputeState | None = None
        for incoming in order:
            if judge(held, incoming, from_gateway=True) is Verdict.APPLY:
                held = incoming
        assert held is not None
        assert held.status == "won"


@pytest.mark.parametrize(
    ("held", "incoming", "from_gateway", "verdict"),
    [
        (None, STATE, False, Verdict.APPLY),
        (STATE, STATE, False, Verdict.UNCHANGED),
        (STATE, replace(STATE, status="lost", gateway_updated_at=AT - timedelta(seconds=1)), True, Verdict.STALE),
        # Of two that bear the same time the one that is further along wins.
        (replace(STATE, status="under_review"), STATE, True, Verdict.STALE),
        (STATE, replace(STATE, status="under_review"), True, Verdict.APPLY),
        # A ruling is taken back only when the gateway itself says so.
        (
            replace(STATE, status="won"),
            replace(STATE, status="lost", gateway_updated_at=AT + timedelta(days=1)),
            False,
            Verdict.REREAD,
        ),
        (
            replace(STATE, status="won"),
            replace(STATE, status="lost", gateway_updated_at=AT + timedelta(days=1)),
            True,
            Verdict.APPLY,
        ),
        (STATE, replace(STATE, status="lost", gateway_updated_at=None), False, Verdict.REREAD),
    ],
)
def test_judging(held: DisputeState | None, incoming: DisputeState, from_gateway: bool, verdict: Verdict) -> None:
    assert judge(held, incoming, from_gateway=from_gateway) is verdict


@pytest.mark.parametrize("status", STATUSES)
def test_money_is_withdrawn_while_a_chargeback_runs_and_once_it_is_lost(status: str) -> None:
    taken = withdrawn(status, False, 2900, None)
    assert taken == (2900 if status in ("lost", "prevented") or (status in OPEN and status != "unknown") else 0)
    assert withdrawn(status, True, 2900, None) == 0


def test_a_status_nobody_knows_moves_no_money() -> None:
    assert withdrawn("unknown", False, 2900, STATE) == 2900
    assert withdrawn("unknown", False, 2900, replace(STATE, withdrawn_minor=0)) == 0


@pytest.mark.parametrize(
    ("total", "refunded", "lost", "twice"),
    [(2900, 2900, 2900, 2900), (2900, 1000, 1900, 0), (2900, 1000, 2900, 1000), (2900, 0, 2900, 0), (2900, 2900, 0, 0)],
)
def test_what_was_paid_out_twice(total: int, refunded: int, lost: int, twice: int) -> None:
    assert paid_out_twice(total, refunded, lost) == twice


@pytest.mark.parametrize(
    ("status", "inquiry", "action"),
    [
        ("needs_response", False, Action.PAUSE_ACCESS),
        ("under_review", False, Action.PAUSE_ACCESS),
        ("warning_needs_response", True, None),
        ("unknown", False, None),
        ("won", False, Action.KEEP),
        ("warning_closed", True, Action.KEEP),
        ("lost", False, Action.CANCEL),
        ("prevented", False, Action.CANCEL),
    ],
)
def test_the_policy(status: str, inquiry: bool, action: Action | None) -> None:
    found = action_for(status, inquiry=inquiry, on_open=Action.PAUSE_ACCESS, on_lost=Action.CANCEL)
    assert found is action


def test_reminders_and_looks() -> None:
    due = STATE.evidence_due_at
    assert due is not None
    assert remind_at(replace(STATE, status="under_review"), None, None) is None
    assert remind_at(replace(STATE, editable=False), None, None) is None
    assert look_at(STATE, AT, AT) == AT + LOOK_EVERY
    near = due - timedelta(minutes=5)
    assert look_at(STATE, AT, near) == due + timedelta(hours=1)
    assert look_at(replace(STATE, status="won"), AT, AT) is None
    assert look_at(STATE, AT, AT + timedelta(days=500)) is None


def test_each_reminder_of_a_deadline_comes_once() -> None:
    due = AT + timedelta(days=7)
    three, two, one = (due - timedelta(days=days) for days in (3, 2, 1))
    assert two == due - REMIND_BEFORE
    assert remind_at(STATE, None, None) == three
    assert remind_at(STATE, due, three) == two
    assert remind_at(STATE, due, two + timedelta(hours=5)) == one
    assert remind_at(STATE, due, one) is None
    # A deadline that was moved is another one.
    assert remind_at(replace(STATE, evidence_due_at=due + timedelta(days=2)), due, one) == three + timedelta(days=2)

    assert reminder(due, AT, three) == Reminder(alarm=False, days_left=3)
    assert reminder(due, AT, two) == Reminder(alarm=True, days_left=3)
    assert reminder(due, AT, one) == Reminder(alarm=True, days_left=1)
    # Known only when three days were over: the mail about its opening has named the deadline.
    assert reminder(due, three, three) == Reminder(alarm=False, days_left=None)
    assert reminder(due, two, one) == Reminder(alarm=True, days_left=1)
    # Nobody is told of time that is left when there is none.
    assert reminder(due, AT, due) == Reminder(alarm=True, days_left=None)


def test_an_open_dispute_matters_more_than_one_that_was_lost_and_that_more_than_one_that_was_won() -> None:
    later = AT + timedelta(days=1)
    assert payment_dispute([]) is None
    assert payment_dispute([("under_review", AT), ("lost", later)]) == "under_review"
    assert payment_dispute([("lost", AT), ("won", later)]) == "lost"
    assert payment_dispute([("won", AT), ("warning_closed", later)]) == "warning_closed"


def _records(**changes: Any) -> DisputeRecords:
    charge = DisputedCharge(
        "dsp_1", "dspt_1", "fraudulent", "10.4", Money(2900, "usd"), False, AT, AT, "txn_1", "pay_1",
        Money(2900, "usd"), AT, "subscription_create", "visa 4242", Money(0, "usd"),
    )  # fmt: skip
    buyer = Buyer("usr_1", "Kim", "kim@example.org", AT, None)
    return replace(
        DisputeRecords("QuntEdge", "https://pay.example.org/billing", "full", charge, buyer, Purchase("Monthly")),
        **changes,
    )


def test_nothing_is_claimed_that_is_not_on_record() -> None:
    found = compose(_records())
    assert "agreed to the terms" not in (found.texts.refund_policy_disclosure or "")
    assert found.texts.access_activity_log is None
    assert any("never signed up here" in gap for gap in found.missing)
    assert "notes" not in {section.key for section in found.sections}


def test_texts_fit_into_their_places() -> None:
    many = [Happening(AT + timedelta(minutes=minute), "signed in", "x" * 200) for minute in range(1000)]
    texts = compose(_records(sign_ins=many), notes="n" * 30_000, refusal="No.").texts
    assert all(len(text) <= LONGEST_TEXT for text in texts.given().values())
    assert texts.refund_refusal_explanation == "No."
    # The latest are kept: they are closest to the dispute.
    assert (texts.access_activity_log or "").startswith("2026-09-02 01:20")
