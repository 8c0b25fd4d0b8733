"""The status table, cell by cell."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.access.errors import UnknownFeature
from quntedge.access.rules import (
    AccessSnapshot,
    Decision,
    FeatureTable,
    Reason,
    SubscriptionFacts,
    Worth,
    decide,
    decide_all,
)
from quntedge.subscriptions.models import STATUSES

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=10)
EARLIER = NOW - timedelta(days=10)
TABLE = FeatureTable(
    known=("basic", "extra", "other"), free=frozenset({"basic"}), by_plan={"pro": frozenset({"basic", "extra"})}
)


def facts(status: str, **values: object) -> SubscriptionFacts:
    defaults: dict[str, object] = {
        "subscription_id": "sub",
        "plan_id": "pro",
        "status": status,
        "cancel_at_period_end": False,
        "period_end": LATER,
        "trial_end": None,
        "grace_until": None,
        "ended_at": None,
    }
    return SubscriptionFacts(**(defaults | values))  # type: ignore[arg-type]


def snapshot(subscription: SubscriptionFacts | None, *, exists: bool = True) -> AccessSnapshot:
    return AccessSnapshot("usr", exists, subscription, TABLE)


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        (facts("active"), Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER)),
        # The period ran out and no news of the renewal has come: nothing is taken away for being late.
        (facts("active", period_end=EARLIER), Decision(True, Reason.SUBSCRIPTION_ACTIVE)),
        (facts("active", period_end=None), Decision(True, Reason.SUBSCRIPTION_ACTIVE)),
        (facts("active", cancel_at_period_end=True), Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER)),
        (facts("active", cancel_at_period_end=True, period_end=NOW), Decision(False, Reason.SUBSCRIPTION_ENDED)),
        (facts("trialing", trial_end=LATER), Decision(True, Reason.TRIAL, LATER)),
        (facts("trialing", trial_end=EARLIER), Decision(True, Reason.TRIAL)),
        (
            facts("trialing", trial_end=EARLIER, cancel_at_period_end=True),
            Decision(False, Reason.SUBSCRIPTION_ENDED),
        ),
        (facts("past_due", grace_until=LATER), Decision(True, Reason.GRACE_PERIOD, LATER, grace=True)),
        (facts("past_due", grace_until=NOW), Decision(False, Reason.PAST_DUE_GRACE_OVER)),
        (facts("past_due", grace_until=None), Decision(True, Reason.GRACE_PERIOD, None, grace=True)),
        (facts("paused", period_end=NOW), Decision(True, Reason.SUBSCRIPTION_ACTIVE)),
        (facts("paused", pause_access_until=LATER), Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER)),
        (facts("paused", pause_access_until=NOW), Decision(False, Reason.SUBSCRIPTION_PAUSED)),
        (facts("canceled", ended_at=LATER), Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER)),
        (facts("canceled", ended_at=NOW), Decision(False, Reason.SUBSCRIPTION_ENDED)),
        (facts("canceled", ended_at=None), Decision(False, Reason.SUBSCRIPTION_ENDED)),
        (facts("expired", ended_at=LATER), Decision(False, Reason.SUBSCRIPTION_ENDED)),
        (facts("completed", period_end=EARLIER), Decision(True, Reason.LIFETIME)),
        (facts("incomplete"), Decision(False, Reason.NO_SUBSCRIPTION)),
        (facts("a status of tomorrow"), Decision(False, Reason.NO_SUBSCRIPTION)),
        (None, Decision(False, Reason.NO_SUBSCRIPTION)),
    ],
)
def test_a_feature_of_the_plan(subscription: SubscriptionFacts | None, expected: Decision) -> None:
    assert decide(snapshot(subscription), "extra", NOW) == expected


def test_one_second_decides_at_the_end_of_grace() -> None:
    end = NOW + timedelta(seconds=1)
    assert decide(snapshot(facts("past_due", grace_until=end)), "extra", NOW).allowed
    assert not decide(snapshot(facts("past_due", grace_until=end)), "extra", end).allowed


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_free_stays_free_whatever_becomes_of_the_subscription(status: str) -> None:
    decision = decide(snapshot(facts(status, ended_at=EARLIER, grace_until=EARLIER)), "basic", NOW)
    assert decision == Decision(True, Reason.FREE_PLAN)


def test_a_feature_of_another_plan_is_named_so_only_to_somebody_who_has_access() -> None:
    assert decide(snapshot(facts("active")), "other", NOW) == Decision(False, Reason.NOT_IN_PLAN)
    assert decide(snapshot(facts("expired")), "other", NOW) == Decision(False, Reason.SUBSCRIPTION_ENDED)


def test_a_plan_without_a_row_opens_nothing_but_the_free_features() -> None:
    assert decide(snapshot(facts("active", plan_id="gone")), "extra", NOW) == Decision(False, Reason.NOT_IN_PLAN)
    assert decide(snapshot(facts("active", plan_id="gone")), "basic", NOW).allowed


def test_nobody_has_nothing_not_even_what_is_free() -> None:
    decisions = decide_all(snapshot(None, exists=False), NOW)
    assert set(decisions.values()) == {Decision(False, Reason.UNKNOWN_USER)}


def test_an_unknown_feature_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UnknownFeature, match="basic, extra, other") as caught:
        decide(snapshot(facts("active")), "no_such", NOW)
    assert caught.value.status == 404
    assert caught.value.extra["known_features"] == ["basic", "extra", "other"]


def test_all_features_are_decided_in_the_order_of_the_catalogue() -> None:
    decisions = decide_all(snapshot(facts("active")), NOW)
    assert list(decisions) == ["basic", "extra", "other"]
    assert {code: decision.allowed for code, decision in decisions.items()} == {
        "basic": True,
        "extra": True,
        "other": False,
    }


WORTH = FeatureTable(
    known=("alerts", "region"),
    free=frozenset({"alerts"}),
    by_plan={"pro": frozenset({"alerts", "region"})},
    worth={"alerts": Worth({"pro": 100}, free=5), "region": Worth({"pro": "eu-west"})},
)


@pytest.mark.parametrize(
    ("subscription", "feature", "expected"),
    [
        (None, "alerts", Decision(True, Reason.FREE_PLAN, value=5)),
        (None, "region", Decision(False, Reason.NO_SUBSCRIPTION)),
        (facts("active"), "alerts", Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER, value=100)),
        (facts("active"), "region", Decision(True, Reason.SUBSCRIPTION_ACTIVE, LATER, value="eu-west")),
        (facts("past_due", grace_until=LATER), "alerts", Decision(True, Reason.GRACE_PERIOD, LATER, True, 100)),
        # What was bought ends; what everybody has stays.
        (facts("expired"), "alerts", Decision(True, Reason.FREE_PLAN, value=5)),
        (facts("expired"), "region", Decision(False, Reason.SUBSCRIPTION_ENDED)),
        (facts("active", plan_id="basic"), "alerts", Decision(True, Reason.FREE_PLAN, value=5)),
        (facts("active", plan_id="basic"), "region", Decision(False, Reason.NOT_IN_PLAN)),
    ],
)
def test_a_feature_with_a_value(subscription: SubscriptionFacts | None, feature: str, expected: Decision) -> None:
    asked = AccessSnapshot("usr", True, subscription, WORTH)
    assert decide(asked, feature, NOW) == expected
    assert decide_all(asked, NOW)[feature] == expected
    assert decide(AccessSnapshot("usr", False, None, WORTH), feature, NOW) == Decision(False, Reason.UNKNOWN_USER)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
maybe = st.none() | moments
any_facts = st.builds(
    SubscriptionFacts,
    subscription_id=st.just("sub"),
    plan_id=st.just("pro"),
    status=st.sampled_from(STATUSES),
    cancel_at_period_end=st.booleans(),
    period_end=maybe,
    trial_end=maybe,
    grace_until=maybe,
    ended_at=maybe,
)


@given(any_facts, moments, moments)
def test_an_answer_holds_until_its_until(subscription: SubscriptionFacts, now: datetime, then: datetime) -> None:
    decision = decide(snapshot(subscription), "extra", now)
    assert decision.until is None or decision.until > now
    assert decision.allowed or decision.until is None
    if now <= then and decision.until is not None and then < decision.until:
        assert decide(snapshot(subscription), "extra", then).allowed == decision.allowed
    if not decision.allowed and then >= now:
        # Time alone never opens anything.
        assert not decide(snapshot(subscription), "extra", then).allowed
