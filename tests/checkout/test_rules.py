from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quntedge.checkout import rules
from quntedge.payments.rules import DeclineClass

NOW = datetime(2026, 9, 1, tzinfo=UTC)
MONTHLY = rules.Offer("monthly", "Monthly", free=False, archived=False, known_to_gateway=True)


def test_a_plan_on_sale_may_be_bought() -> None:
    rules.check_purchase("monthly", MONTHLY, None)


@pytest.mark.parametrize(
    ("offer", "live", "error", "status"),
    [
        (None, None, rules.PlanNotFound, 404),
        (replace(MONTHLY, archived=True), None, rules.PlanNotFound, 404),
        (replace(MONTHLY, free=True, known_to_gateway=False), None, rules.PlanIsFree, 409),
        (replace(MONTHLY, known_to_gateway=False), None, rules.PlanUnavailable, 503),
        (MONTHLY, "Yearly", rules.AlreadySubscribed, 409),
        (None, "Yearly", rules.PlanNotFound, 404),
    ],
)
def test_what_may_not_be_bought(
    offer: rules.Offer | None, live: str | None, error: type[Exception], status: int
) -> None:
    with pytest.raises(error) as caught:
        rules.check_purchase("monthly", offer, live)
    assert caught.value.status == status  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["created", "open", "unknown", "completed", "failed", "expired"])
def test_what_was_left_unpaid_is_shown_as_expired(state: str) -> None:
    assert rules.shown_state(state, NOW, NOW - timedelta(seconds=1)) == state
    later = rules.shown_state(state, NOW, NOW)
    assert later == (state if state in ("completed", "failed") else "expired")


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_every_failure_has_its_words(locale: str) -> None:
    texts = {rules.failure_text(failure, locale) for failure in [*DeclineClass, "gateway_rejected"]}
    assert len(texts) == 6
    assert rules.failure_text("something new", locale) in texts
    assert rules.failure_text("soft", "tlh") == rules.failure_text("soft", "en")
