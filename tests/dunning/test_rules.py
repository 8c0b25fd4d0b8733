"""What becomes of a renewal that failed: when it is tried, by whom, and when it is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.dunning import rules
from quntedge.dunning.rules import Closing, Facts, Held, Policy, State, Step, Timetable
from quntedge.payments.rules import DeclineClass
from quntedge.subscriptions import rules as subscriptions

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
UTC_ZONE = ZoneInfo("UTC")
GRACE = NOW + 7 * DAY


def facts(**changes: Any) -> Facts:
    held = Facts(
        payment_status="failed",
        paid=False,
        gateway_next_at=None,
        membership_id="mem_1",
        subscription_status="past_due",
        subscription_membership_id="mem_1",
        grace_until=GRACE,
    )
    return replace(held, **changes)


def held(**changes: Any) -> Held:
    state = Held(
        case_id="dun_1",
        decline_class="soft",
        attempts_own=0,
        method_changes=0,
        retries_refused=False,
        cancel_requested=False,
        opened_at=NOW,
        last_failed_at=NOW,
        trying_since=None,
        looked_at=None,
        needs_review=False,
        reminded=False,
        access_paused=False,
    )
    return replace(state, **changes)


def plan(case: Held, told: Facts, now: datetime = NOW, policy: Policy | None = None) -> Timetable:
    return rules.timetable(case, told, policy or Policy(), UTC_ZONE, now)


@pytest.mark.parametrize(
    ("told", "requested", "expected"),
    [
        ({}, False, None),
        ({"payment_status": "paid", "paid": True}, False, Closing(State.RECOVERED, "paid")),
        ({"payment_status": "partially_refunded", "paid": True}, False, Closing(State.RECOVERED, "paid")),
        # Money has come, whatever else has.
        ({"paid": True, "subscription_status": "canceled"}, True, Closing(State.RECOVERED, "paid")),
        ({"subscription_status": "canceled"}, False, Closing(State.EXHAUSTED, "unpaid")),
        ({"subscription_status": "expired"}, False, Closing(State.EXHAUSTED, "unpaid")),
        ({"subscription_status": "canceled"}, True, Closing(State.CANCELED, "cancellation")),
        ({"subscription_membership_id": "mem_2"}, False, Closing(State.SUPERSEDED, "other_membership")),
        (
            {"subscription_membership_id": "mem_2", "subscription_status": "canceled"},
            False,
            Closing(State.SUPERSEDED, "other_membership"),
        ),
        (
            {"payment_status": "void", "subscription_status": "active"},
            False,
            Closing(State.CANCELED, "payment_void"),
        ),
        ({"payment_status": "void"}, False, None),
        ({"payment_status": "uncollectible"}, False, None),
        ({"subscription_status": "active"}, False, None),
    ],
)
def test_how_a_case_ends(told: dict[str, Any], requested: bool, expected: Closing | None) -> None:
    assert rules.closing(facts(**told), cancel_requested=requested) == expected


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("failed", "subscription_cycle", True),
        ("requires_action", "subscription_cycle", True),
        ("failed", "subscription_update", True),
        ("failed", "subscription_create", False),
        ("failed", None, False),
        ("open", "subscription_cycle", False),
        ("paid", "subscription_cycle", False),
        ("void", "subscription_cycle", False),
    ],
)
def test_what_opens_a_case(status: str, reason: str | None, expected: bool) -> None:
    assert rules.opens(status, reason) is expected


def test_the_waits_grow_and_each_try_is_in_the_day() -> None:
    found = []
    case, told = held(), facts()
    for _ in range(3):
        at = plan(case, told, case.last_failed_at).next_attempt_at
        assert at is not None
        assert 9 <= at.hour < 18
        found.append(at - case.last_failed_at)
        case = replace(case, attempts_own=case.attempts_own + 1, last_failed_at=at)
    assert [wait // DAY for wait in found] == [1, 3, 9]
    last = plan(case, told, case.last_failed_at)
    assert last.next_attempt_at is None
    assert last.end_at == case.last_failed_at + rules.LAST_CALL


@pytest.mark.parametrize(
    ("decline", "tries"),
    [
        (DeclineClass.SOFT, 3),
        (DeclineClass.UNCLEAR, 2),
        (DeclineClass.ACT, 0),
        (DeclineClass.NEW_METHOD, 0),
        (DeclineClass.HARD, 0),
    ],
)
def test_how_often_a_decline_is_tried_again(decline: str, tries: int) -> None:
    assert rules.tries_allowed(Policy(), decline) == tries
    assert rules.tries_allowed(Policy(max_attempts=0), decline) == 0
    found = plan(held(decline_class=decline), facts())
    assert (found.next_attempt_at is None) == (tries == 0)
    if tries == 0:
        # As long as with a card that is tried again: 1 + 3 + 9 days.
        assert found.end_at == NOW + 13 * DAY


@pytest.mark.parametrize("after", [HOUR, DAY, 3 * DAY, 6 * DAY])
def test_an_attempt_of_whops_takes_the_place_of_ours(after: timedelta) -> None:
    found = plan(held(), facts(gateway_next_at=NOW + after))
    assert (found.next_attempt_at, found.end_at) == (None, None)
    assert found.look_at == NOW + after + rules.AFTER_GATEWAY


def test_the_next_periods_bill_holds_nobody_up() -> None:
    found = plan(held(), facts(gateway_next_at=NOW + 30 * DAY))
    assert found.next_attempt_at is not None
    assert found.look_at is None
    assert plan(held(decline_class="hard"), facts(gateway_next_at=NOW + 30 * DAY)).end_at == NOW + 13 * DAY


def test_whops_attempt_before_the_end_is_waited_for() -> None:
    found = plan(held(decline_class="hard"), facts(gateway_next_at=NOW + 5 * DAY))
    assert (found.end_at, found.look_at) == (None, NOW + 5 * DAY + rules.AFTER_GATEWAY)


def test_an_attempt_of_whops_that_nobody_told_of_is_looked_up_hourly_and_then_not_believed() -> None:
    told = facts(gateway_next_at=NOW)
    assert plan(held(), told, NOW + HOUR).look_at == NOW + HOUR
    assert plan(held(looked_at=NOW + HOUR), told, NOW + HOUR).look_at == NOW + 2 * HOUR
    assert plan(held(looked_at=NOW + 12 * HOUR), told, NOW + 12 * HOUR).next_attempt_at is not None


def test_a_refusal_of_whops_ends_our_tries_until_the_card_changes() -> None:
    found = plan(held(retries_refused=True), facts())
    assert found.next_attempt_at is None
    assert found.end_at == NOW + 13 * DAY
    assert plan(held(method_changes=1), facts()).next_attempt_at != plan(held(), facts()).next_attempt_at


def test_nothing_is_tried_while_an_outcome_is_unknown() -> None:
    found = plan(held(trying_since=NOW), facts(), NOW)
    assert found == Timetable(
        look_at=NOW + rules.AFTER_GATEWAY, remind_at=GRACE - rules.REMIND_BEFORE, pause_access_at=GRACE
    )


@pytest.mark.parametrize("status", ["pending", "authorized"])
def test_money_on_its_way_is_waited_for(status: str) -> None:
    found = plan(held(looked_at=NOW), facts(payment_status=status))
    assert (found.next_attempt_at, found.end_at, found.look_at) == (None, None, NOW + rules.LOOK_AGAIN)


def test_the_bank_asks_so_we_do_not_try() -> None:
    found = plan(held(decline_class="customer_must_act"), facts(payment_status="requires_action"))
    assert found.next_attempt_at is None
    assert found.end_at == NOW + 13 * DAY


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"cancel_requested": True}, {}),
        ({}, {"subscription_status": "paused"}),
        ({}, {"subscription_status": "active", "grace_until": None}),
    ],
)
def test_who_is_leaving_paused_or_not_past_due_yet_is_only_looked_at(
    case: dict[str, Any], told: dict[str, Any]
) -> None:
    assert plan(held(**case), facts(**told)) == Timetable(look_at=NOW + HOUR)
    again = plan(held(looked_at=NOW + HOUR, **case), facts(**told), NOW + HOUR)
    assert again == Timetable(look_at=NOW + HOUR + rules.LOOK_AGAIN)


def test_who_asked_to_leave_is_gone_at_last_even_if_whop_refused() -> None:
    end = NOW + 13 * DAY
    for days in range(14):
        found = plan(held(cancel_requested=True, looked_at=NOW + days * DAY), facts(gateway_next_at=NOW + DAY))
        assert found.next_attempt_at is None
        assert (found.look_at, found.end_at) == ((NOW + (days + 1) * DAY, None) if days < 12 else (None, end))


def test_what_nobody_understands_is_neither_charged_nor_ended() -> None:
    found = plan(held(needs_review=True, looked_at=NOW), facts())
    assert (found.next_attempt_at, found.end_at, found.look_at) == (None, None, NOW + rules.LOOK_AGAIN)


def test_the_end_keeps_what_was_promised() -> None:
    long_grace = facts(grace_until=NOW + 45 * DAY)
    used_up = held(attempts_own=3, last_failed_at=NOW + 14 * DAY)
    assert plan(used_up, long_grace, NOW + 14 * DAY).end_at == NOW + 45 * DAY
    assert rules.ends_at(held(), facts(grace_until=None), Policy(0, ())) == NOW + rules.USUAL_GRACE


def test_no_case_lasts_longer_than_whop_keeps_a_membership() -> None:
    slow = Policy(max_attempts=9, backoff_days=(20,))
    late = held(attempts_own=2, last_failed_at=NOW + 45 * DAY)
    found = plan(late, facts(), NOW + 45 * DAY, slow)
    assert found.next_attempt_at is None
    assert found.end_at == NOW + rules.LONGEST


def test_a_missed_try_is_made_up_for_in_the_day() -> None:
    due = plan(held(), facts()).next_attempt_at
    assert due is not None
    midnight = due.replace(hour=23, minute=30)
    made_up = plan(held(), facts(), midnight).next_attempt_at
    assert made_up is not None
    assert made_up > midnight
    assert 9 <= made_up.hour < 18
    assert plan(held(), facts(), due + rules.MISSED).next_attempt_at == due
    within = due.replace(hour=17, minute=59)
    assert plan(held(), facts(), within).next_attempt_at == due


def test_the_pause_of_access_is_told_only_after_an_attempt_of_whops_that_comes_with_it() -> None:
    for apart in (timedelta(0), 50 * timedelta(minutes=1), -50 * timedelta(minutes=1)):
        theirs = GRACE + apart
        assert plan(held(), facts(gateway_next_at=theirs)).pause_access_at == theirs + 2 * HOUR
        # By then its outcome has been looked up.
        case = held(last_failed_at=GRACE - 2 * DAY)
        assert plan(case, facts(gateway_next_at=theirs), GRACE - DAY).look_at == theirs + HOUR
    assert plan(held(), facts(gateway_next_at=GRACE - DAY)).pause_access_at == GRACE
    assert plan(held(), facts(gateway_next_at=GRACE + DAY)).pause_access_at == GRACE


def test_reminders() -> None:
    found = plan(held(), facts())
    assert (found.remind_at, found.pause_access_at) == (GRACE - DAY, GRACE)
    assert plan(held(reminded=True), facts()).remind_at is None
    done = plan(held(access_paused=True), facts())
    assert (done.remind_at, done.pause_access_at) == (None, None)
    # Who has just been told of the failure is not reminded in the same breath.
    assert plan(held(), facts(grace_until=NOW + DAY)).remind_at is None


@pytest.mark.parametrize(
    ("status", "decline", "next_at", "step"),
    [
        ("failed", "soft", NOW, Step.RETRY),
        ("failed", "soft", None, Step.PAY),
        ("failed", "unclear", NOW, Step.RETRY),
        ("failed", "hard", NOW, Step.CARD),
        ("failed", "needs_another_method", None, Step.CARD),
        ("failed", "customer_must_act", NOW, Step.CONFIRM),
        ("requires_action", "unclear", NOW, Step.CONFIRM),
    ],
)
def test_what_the_customer_is_told_to_do(status: str, decline: str, next_at: datetime | None, step: Step) -> None:
    assert rules.next_step(status, decline, next_at) is step


def test_refusals_are_called_as_payments_call_them() -> None:
    assert [refusal.value for refusal in rules.Refusal] == [decline.value for decline in DeclineClass]


def test_which_try_is_announced() -> None:
    assert rules.next_try(NOW, NOW + DAY, None) == NOW
    assert rules.next_try(None, NOW + DAY, None) == NOW + DAY
    assert rules.next_try(None, NOW + DAY, NOW) is None


def test_plans_that_promise_more_than_whop_keeps() -> None:
    assert rules.GATEWAY_SPAN == subscriptions.GATEWAY_SPAN
    assert rules.outlives_gateway(7, Policy())
    assert rules.outlives_gateway(3, Policy())
    assert not rules.outlives_gateway(5, Policy(2, (1, 3)))


MOMENTS = st.integers(0, 70 * 24).map(lambda hours: NOW + timedelta(hours=hours))


@given(
    now=MOMENTS,
    failed=MOMENTS,
    theirs=st.none() | MOMENTS,
    grace=st.integers(0, 60),
    own=st.integers(0, 4),
    decline=st.sampled_from(list(DeclineClass)),
    status=st.sampled_from(["failed", "requires_action", "pending", "uncollectible", "void", "open"]),
    tries=st.integers(0, 6),
    backoff=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    looked=st.booleans(),
)
def test_laws_of_the_timetable(
    now: datetime,
    failed: datetime,
    theirs: datetime | None,
    grace: int,
    own: int,
    decline: str,
    status: str,
    tries: int,
    backoff: list[int],
    looked: bool,
) -> None:
    now = max(now, failed)
    told = facts(payment_status=status, gateway_next_at=theirs, grace_until=NOW + grace * DAY)
    case = held(attempts_own=own, last_failed_at=failed, decline_class=decline, looked_at=now if looked else None)
    policy = Policy(tries, tuple(backoff))
    found = plan(case, told, now, policy)
    planned = [at for at in (found.next_attempt_at, found.look_at, found.end_at) if at is not None]
    assert len(planned) == 1  # a case is never forgotten, and never has two things ahead
    if found.next_attempt_at is not None:
        assert own < tries
        assert found.next_attempt_at >= failed + policy.wait(own)
        assert 9 <= found.next_attempt_at.hour < 18
        assert found.next_attempt_at <= NOW + rules.LONGEST
        assert theirs is None or theirs + rules.GATEWAY_LATE <= now or theirs > found.next_attempt_at
    if found.end_at is not None:
        assert found.end_at >= NOW + grace * DAY
        assert found.end_at <= max(NOW + rules.LONGEST, NOW + grace * DAY)
    if found.look_at is not None and looked:
        assert found.look_at > now  # looking again and again would lead nowhere
