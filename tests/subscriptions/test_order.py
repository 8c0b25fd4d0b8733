"""Deliveries arrive in any order, more than once or not at all: the same subscription comes of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.subscriptions import rules
from quntedge.subscriptions.rules import MembershipState, Status, SubscriptionState, Verdict
from tests.subscriptions.states import AT, DAY, PERIOD_END, WEEK, membership


class Held:
    """The memberships of one subscription, kept as the service keeps them. `truth`: what Whop answers when asked."""

    def __init__(self, truth: dict[str, MembershipState]) -> None:
        self._truth = truth
        self.memberships: dict[str, MembershipState] = {}

    def deliver(self, incoming: MembershipState) -> None:
        if self._take(incoming, from_gateway=False) is Verdict.REREAD:
            self._take(self._truth[incoming.membership_id], from_gateway=True)

    def _take(self, incoming: MembershipState, *, from_gateway: bool) -> Verdict:
        held = self.memberships.get(incoming.membership_id)
        verdict = rules.judge(held, incoming, from_gateway=from_gateway)
        if verdict is Verdict.STALE and held is not None:
            self.memberships[incoming.membership_id] = rules.learn(held, incoming)
        if verdict is Verdict.APPLY:
            accepted = replace(incoming, status=rules.keep_known_status(held, incoming))
            self.memberships[incoming.membership_id] = replace(
                accepted, past_due_since=rules.past_due_since(held, accepted)
            )
        return verdict


def _end_of(deliveries: Sequence[MembershipState]) -> SubscriptionState:
    newest: dict[str, MembershipState] = {}
    for snapshot in sorted(deliveries, key=_time):
        newest[snapshot.membership_id] = snapshot
    held = Held(newest)
    for snapshot in deliveries:
        held.deliver(snapshot)
    return rules.derive(list(held.memberships.values()), WEEK)


def _time(snapshot: MembershipState) -> datetime:
    assert snapshot.updated_at is not None
    return snapshot.updated_at


@st.composite
def histories(draw: st.DrawFn, membership_id: str) -> list[MembershipState]:
    """What Whop says about a membership over some periods: each may be paid late, the last may end and come back."""
    snapshots: list[MembershipState] = []
    at = AT + timedelta(seconds=draw(st.integers(0, 59)))
    period_end = PERIOD_END

    def say(status: str, times: int) -> None:
        nonlocal at
        for _ in range(times):
            at += timedelta(minutes=draw(st.integers(1, 20_000)))
            canceling = draw(st.booleans())
            snapshots.append(
                membership(
                    status,
                    at=at,
                    membership_id=membership_id,
                    period_end=period_end,
                    cancel_at_period_end=canceling,
                    canceled_at=at if canceling else None,
                )
            )

    if draw(st.booleans()):
        say("trialing", draw(st.integers(1, 2)))
    for _ in range(draw(st.integers(1, 3))):
        say("active", draw(st.integers(0, 2)))
        say("past_due", draw(st.integers(0, 3)))
        if draw(st.booleans()):
            say("active", draw(st.integers(0, 1)))
        period_end += 30 * DAY
    say("active", 0 if snapshots else 1)
    if draw(st.booleans()):
        say(draw(st.sampled_from(["canceled", "expired", "completed"])), 1)
        say("active", draw(st.integers(0, 2)))
    return snapshots


@st.composite
def deliveries(draw: st.DrawFn) -> list[MembershipState]:
    """All that was said about one or two memberships, some of it repeatedly, in any order."""
    said = draw(histories("mem_1"))
    if draw(st.booleans()):
        said = said + draw(histories("mem_2"))
    repeated = draw(st.lists(st.sampled_from(said), max_size=6))
    return draw(st.permutations(said + repeated))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(deliveries())
def test_any_order_of_deliveries_ends_in_the_same_state(delivered: list[MembershipState]) -> None:
    ended = _end_of(delivered)
    assert ended == _end_of(sorted(delivered, key=_time))
    about_it = [snapshot for snapshot in delivered if snapshot.membership_id == ended.membership_id]
    newest = max(about_it, key=_time)
    assert (ended.status.value, ended.period_end) == (newest.status, newest.period_end)
    reported = [_time(s) for s in about_it if s.status == "past_due" and s.period_end == newest.period_end]
    # Grace counts from the first report that this period is not paid.
    assert ended.grace_until == (min(reported) + 7 * DAY if ended.status is Status.PAST_DUE else None)


def test_a_recovery_that_was_never_delivered_does_not_use_up_the_next_grace() -> None:
    late_in_september = membership("past_due", at=AT)
    late_in_october = membership("past_due", at=AT + 30 * DAY, period_end=PERIOD_END + 30 * DAY)
    assert _end_of([late_in_september, late_in_october]).grace_until == AT + 37 * DAY


def test_a_known_status_that_arrives_after_an_unclear_one_counts() -> None:
    active, odd = membership(at=AT), membership("unknown", at=AT + DAY)
    for order in ([active, odd], [odd, active]):
        ended = _end_of(order)
        assert (ended.status, ended.needs_review) == (Status.ACTIVE, True)


def test_an_unclear_status_does_not_end_the_grace_of_one_that_is_past_due() -> None:
    ended = _end_of([membership("past_due", at=AT), membership("unknown", at=AT + DAY)])
    assert (ended.status, ended.grace_until, ended.needs_review) == (Status.PAST_DUE, AT + 7 * DAY, True)
