"""What may replace what is held, what follows from memberships, and what a change is called."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from quntedge.subscriptions import rules
from quntedge.subscriptions.rules import Change, MembershipState, Status, Verdict, judge
from tests.subscriptions.states import AT, DAY, PERIOD_END, WEEK, membership, subscription

HELD = membership(at=AT)
ENDED = membership("canceled", at=AT)
LATER = AT + DAY
EARLIER = AT - DAY


@pytest.mark.parametrize(
    ("held", "incoming", "delivered", "read_by_us"),
    [
        pytest.param(None, membership(), "applied", "applied", id="first"),
        pytest.param(None, membership(at=None), "reread", "applied", id="first-without-a-time"),
        pytest.param(HELD, membership(at=EARLIER), "stale", "stale", id="older"),
        pytest.param(HELD, membership("canceled", at=EARLIER), "stale", "stale", id="older-and-terminal"),
        pytest.param(HELD, HELD, "unchanged", "unchanged", id="the-same"),
        pytest.param(HELD, membership(raw_status="x"), "reread", "applied", id="equally-old-but-different"),
        pytest.param(HELD, membership(at=LATER), "applied", "applied", id="newer"),
        pytest.param(HELD, membership("canceled", at=LATER), "applied", "applied", id="newer-and-terminal"),
        pytest.param(HELD, membership(at=None), "reread", "applied", id="without-a-time"),
        pytest.param(membership(at=None), HELD, "reread", "applied", id="held-without-a-time"),
        pytest.param(membership(at=None), membership(at=None), "reread", "unchanged", id="both-without-a-time"),
        pytest.param(ENDED, membership(at=LATER), "reread", "applied", id="revived"),
        pytest.param(membership("expired"), membership("unknown", at=LATER), "reread", "applied", id="revived-oddly"),
        pytest.param(ENDED, membership("expired", at=LATER), "applied", "applied", id="ended-in-another-way"),
        pytest.param(ENDED, membership(at=EARLIER), "stale", "stale", id="ended-and-older"),
    ],
)
def test_judge(held: MembershipState | None, incoming: MembershipState, delivered: str, read_by_us: str) -> None:
    assert judge(held, incoming, from_gateway=False) == Verdict(delivered)
    assert judge(held, incoming, from_gateway=True) == Verdict(read_by_us)


def test_what_we_concluded_ourselves_does_not_make_a_repeated_snapshot_differ() -> None:
    concluded = replace(membership("unknown"), status="active", past_due_since=AT, plan_id="pln_renamed")
    assert judge(concluded, membership("unknown"), from_gateway=False) is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("membership_status", "expected"),
    [
        ("drafted", Status.INCOMPLETE),
        ("trialing", Status.TRIALING),
        ("active", Status.ACTIVE),
        ("past_due", Status.PAST_DUE),
        ("completed", Status.COMPLETED),
        ("canceled", Status.CANCELED),
        ("expired", Status.EXPIRED),
        ("unresolved", Status.INCOMPLETE),
        ("unknown", Status.INCOMPLETE),
    ],
)
def test_each_membership_status_by_itself(membership_status: str, expected: Status) -> None:
    said_at = AT + 3 * DAY
    since = AT + 2 * DAY if membership_status == "past_due" else None
    alone = membership(membership_status, at=said_at, past_due_since=since, cancel_at_period_end=True)
    derived = rules.derive([alone], WEEK)
    assert derived.status is expected
    assert derived.trial_end == (PERIOD_END if expected is Status.TRIALING else None)
    assert derived.grace_until == (AT + 9 * DAY if expected is Status.PAST_DUE else None)
    assert derived.ended_at == (said_at if expected in (Status.CANCELED, Status.EXPIRED) else None)
    # What has ended, or never began, is not going to be cancelled any more.
    assert derived.cancel_at_period_end is (expected in rules.LIVE)
    assert derived.needs_review is (membership_status in ("unresolved", "unknown"))


@pytest.mark.parametrize(
    ("over", "ended_at"),
    [
        ({"period_end": AT - DAY}, AT - DAY),
        ({"period_end": PERIOD_END}, AT),
        ({"period_end": None}, AT),
        ({"at": None}, PERIOD_END),
    ],
)
def test_it_ended_with_its_period_if_that_was_over(over: dict[str, Any], ended_at: object) -> None:
    assert rules.derive([membership("expired", **over)], WEEK).ended_at == ended_at


@pytest.mark.parametrize(
    ("canceled_at", "ended_at"),
    [
        pytest.param(PERIOD_END - DAY, PERIOD_END, id="asked-for-in-time"),
        pytest.param(PERIOD_END + DAY, PERIOD_END + DAY, id="went-on-unpaid-until-then"),
        pytest.param(None, PERIOD_END, id="nobody-says-when"),
    ],
)
def test_what_went_on_unpaid_ended_when_it_was_cancelled(canceled_at: datetime | None, ended_at: datetime) -> None:
    # What Whop says of it later does not move the end.
    for told_at in (PERIOD_END + DAY, PERIOD_END + 9 * DAY):
        canceled = membership("canceled", at=told_at, canceled_at=canceled_at)
        assert rules.derive([canceled], WEEK).ended_at == ended_at


@pytest.mark.parametrize(
    ("period_start", "created_at", "expected"),
    [
        pytest.param(AT + DAY, AT + DAY, Status.CANCELED, id="the-successor-has-ended-too"),
        pytest.param(None, AT + DAY, Status.ACTIVE, id="it-never-began-so-another-is-awaited"),
        pytest.param(AT - DAY, AT - DAY, Status.ACTIVE, id="it-was-there-before"),
    ],
)
def test_what_was_replaced_does_not_come_back_when_its_successor_ends(
    period_start: datetime | None, created_at: datetime, expected: Status
) -> None:
    replaced = membership("canceled", superseded_at=AT, canceled_at=AT)
    other = membership(
        "canceled", at=AT + 9 * DAY, membership_id="mem_2", period_start=period_start, period_end=None,
        created_at=created_at, canceled_at=AT + 9 * DAY,
    )  # fmt: skip
    for order in ([replaced, other], [other, replaced]):
        assert rules.derive(order, WEEK).status is expected
    # As long as it lives it speaks anyway, and before it comes the one that was replaced does.
    alive = replace(other, status="completed", period_start=AT + DAY, created_at=AT + DAY)
    assert rules.derive([replaced, alive], WEEK).status is Status.COMPLETED
    assert rules.derive([replaced], WEEK).status is Status.ACTIVE
    # What is paid once has no period; it has begun if it has spoken.
    once = replace(other, period_start=None, created_at=AT + DAY)
    assert rules.derive([replaced, once], WEEK, spoke="mem_2").status is Status.CANCELED
    assert rules.derive([replaced, once], WEEK, spoke="mem_1").status is Status.ACTIVE


def test_grace_is_no_longer_than_whop_leaves() -> None:
    assert [rules.grace_kept(days, gateway_cancels=True) for days in (0, 3, 5, 7, 30)] == [0, 3, 5, 5, 5]
    assert rules.grace_kept(30, gateway_cancels=False) == 30


@pytest.mark.parametrize(
    ("membership_status", "expected"),
    [("active", Status.PAUSED), ("past_due", Status.PAUSED), ("trialing", Status.TRIALING), ("canceled", "canceled")],
)
def test_paused_collection_pauses_what_would_be_collected(membership_status: str, expected: str) -> None:
    derived = rules.derive([membership(membership_status, paused=True, past_due_since=AT)], WEEK)
    assert derived.status == expected
    assert derived.grace_until is None


BY_LIVELINESS = ("completed", "active", "trialing", "past_due", "unresolved", "drafted", "canceled")


@pytest.mark.parametrize("better", range(len(BY_LIVELINESS) - 1))
def test_the_livelier_membership_speaks_even_when_the_other_runs_longer(better: int) -> None:
    lively = membership(BY_LIVELINESS[better], membership_id="mem_a")
    for status in BY_LIVELINESS[better + 1 :]:
        longer = membership(status, membership_id="mem_z", period_end=PERIOD_END + 300 * DAY, created_at=LATER)
        assert rules.derive([lively, longer], WEEK) == rules.derive([longer, lively], WEEK)
        assert rules.derive([longer, lively], WEEK).membership_id == "mem_a"


@pytest.mark.parametrize(
    ("other", "speaker"),
    [
        ({"period_end": PERIOD_END + DAY}, "mem_0"),
        ({"period_end": PERIOD_END - DAY, "created_at": LATER}, "mem_1"),
        ({"period_end": None}, "mem_1"),
        ({"created_at": LATER}, "mem_0"),
        ({"created_at": None}, "mem_1"),
        ({}, "mem_1"),
    ],
)
def test_among_equals_the_longer_then_the_younger_speaks(other: dict[str, Any], speaker: str) -> None:
    pair = [membership(), membership(membership_id="mem_0", **other)]
    assert rules.current_membership(pair).membership_id == speaker
    assert rules.current_membership(pair[::-1]).membership_id == speaker


def test_one_unclear_membership_asks_for_a_look_at_the_whole() -> None:
    pair = [membership(), membership("unknown", membership_id="mem_2")]
    derived = rules.derive(pair, WEEK)
    assert (derived.status, derived.needs_review) == (Status.ACTIVE, True)


@pytest.mark.parametrize("unclear", ["unknown", "unresolved"])
def test_an_unclear_status_never_replaces_a_known_one(unclear: str) -> None:
    for known in ("active", "trialing", "past_due", "completed", "canceled", "expired", "drafted"):
        assert rules.keep_known_status(membership(known), membership(unclear)) == known
        assert rules.keep_known_status(membership(unclear), membership(known)) == known
    assert rules.keep_known_status(None, membership(unclear)) == unclear


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        pytest.param(None, subscription(), Change("subscription.created", started=True), id="created"),
        pytest.param(None, subscription("incomplete"), Change("subscription.created"), id="created-incomplete"),
        pytest.param(subscription(), subscription(), None, id="nothing"),
        pytest.param(
            subscription("incomplete"), subscription(), Change("subscription.started", started=True), id="started"
        ),
        pytest.param(
            subscription("canceled"), subscription(), Change("subscription.started", started=True), id="came-back"
        ),
        pytest.param(
            subscription("trialing"),
            subscription(period_end=PERIOD_END + 30 * DAY),
            Change("subscription.trial_converted"),
            id="converted",
        ),
        pytest.param(
            subscription("past_due"),
            subscription(period_end=PERIOD_END + 30 * DAY),
            Change("subscription.recovered"),
            id="recovered",
        ),
        pytest.param(subscription(), subscription("past_due"), Change("subscription.past_due"), id="past-due"),
        pytest.param(subscription(), subscription("paused"), Change("subscription.paused"), id="paused"),
        pytest.param(
            subscription(), subscription("canceled"), Change("subscription.canceled", ended=True), id="canceled"
        ),
        pytest.param(
            subscription("past_due"), subscription("expired"), Change("subscription.expired", ended=True), id="expired"
        ),
        pytest.param(
            subscription("canceled"), subscription("expired"), Change("subscription.expired"), id="ended-only-once"
        ),
        pytest.param(
            subscription(),
            subscription(period_end=PERIOD_END + 30 * DAY, cancel_at_period_end=True),
            Change("subscription.renewed"),
            id="renewed",
        ),
        pytest.param(
            subscription("past_due"),
            subscription("past_due", period_end=PERIOD_END + 30 * DAY),
            Change("subscription.renewed"),
            id="a-new-period-that-is-not-paid",
        ),
        pytest.param(
            subscription(),
            subscription(cancel_at_period_end=True),
            Change("subscription.cancellation_scheduled"),
            id="cancellation-scheduled",
        ),
        pytest.param(
            subscription(cancel_at_period_end=True),
            subscription(),
            Change("subscription.cancellation_withdrawn"),
            id="cancellation-withdrawn",
        ),
        pytest.param(
            subscription(), subscription(plan_id="pln_yearly"), Change("subscription.plan_changed"), id="plan-changed"
        ),
        pytest.param(
            subscription(), subscription(needs_review=True), Change("subscription.updated"), id="something-else"
        ),
        pytest.param(
            subscription(),
            subscription(period_end=PERIOD_END - DAY),
            Change("subscription.updated"),
            id="a-shorter-period-is-no-renewal",
        ),
    ],
)
def test_describe(
    before: rules.SubscriptionState | None, after: rules.SubscriptionState, change: Change | None
) -> None:
    assert rules.describe(before, after) == change


def test_every_difference_has_a_name() -> None:
    """A field that `describe` overlooked would change without a row in the history."""
    plain = subscription()
    other: dict[str, Any] = {
        "status": Status.PAUSED,
        "plan_id": "pln_other",
        "membership_id": "mem_other",
        "cancel_at_period_end": True,
        "needs_review": True,
        "renewal_price_minor": 1,
        "currency": "eur",
    }
    for name in rules.as_json(plain):
        changed = replace(plain, **{name: other.get(name, LATER + 100 * DAY)})
        assert rules.describe(plain, changed) is not None, name
