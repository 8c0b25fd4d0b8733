"""The pure rules: billing arithmetic, cards, shapes of errors."""

from datetime import UTC, datetime, timedelta

import pytest

from quntedge.gateway.emulator.core.agenda import Agenda, Kind
from quntedge.gateway.emulator.rules.billing import RETRY_DELAYS, processing_fees, retry_delay
from quntedge.gateway.emulator.rules.cards import CardProblem, decline_at_checkout, decline_off_session, read_card
from quntedge.gateway.emulator.state.store import Store
from quntedge.kit.money import Money

NOW = datetime(2026, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("total", "percentage", "fixed"),
    [("29.00", "0.78", "0.30"), ("0", "0.00", "0.00"), ("1.00", "0.03", "0.30"), ("0.10", "0.00", "0.10")],
)
def test_fees(total: str, percentage: str, fixed: str) -> None:
    assert [fee.to_major_text() for fee in processing_fees(Money.parse(total, "usd"))] == [percentage, fixed]


def test_retries_take_about_five_days() -> None:
    assert sum(RETRY_DELAYS, timedelta(0)) == timedelta(days=5)
    assert [retry_delay(n) for n in (1, 2, 3, 4)] == [*RETRY_DELAYS, None]


@pytest.mark.parametrize(
    ("number", "now", "later"),
    [
        ("4242424242424242", None, None),
        ("4000 0000 0000 0002", "generic_decline", "insufficient_funds"),
        ("4000-0000-0000-0341", None, "insufficient_funds"),
        ("5385308360135181", None, None),
    ],
)
def test_cards(number: str, now: str | None, later: str | None) -> None:
    card = read_card(number, "09/26", "999", NOW)
    at_checkout, off_session = decline_at_checkout(card.behaviour), decline_off_session(card.behaviour)
    assert (at_checkout.code if at_checkout else None) == now
    assert (off_session.code if off_session else None) == later
    assert card.exp_year == 2026


@pytest.mark.parametrize("expiry", ["08/26", "00/30", "13/30", "0430", "4/3", "aa/bb", "٠٤/٣٤"])
def test_expiries_that_do_not_count(expiry: str) -> None:
    with pytest.raises(CardProblem):
        read_card("4242424242424242", expiry, "123", NOW)


def test_ids_depend_on_the_seed_alone() -> None:
    one, same, other = Store(1), Store(1), Store(2)
    ids = [one.new_id("mem") for _ in range(1000)]
    assert ids == [same.new_id("mem") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert other.new_id("mem") != ids[0]


def test_agenda_keeps_order() -> None:
    agenda = Agenda()
    for hours, name in ((3, "c"), (1, "a"), (2, "b"), (1, "a2")):
        agenda.enter(NOW + timedelta(hours=hours), Kind.MEMBERSHIP, name)
    assert agenda.next_at() == NOW + timedelta(hours=1)
    assert [h.object_id for h in agenda.take_until(NOW + timedelta(hours=2))] == ["a", "a2", "b"]
    assert [h.object_id for h in agenda.take_until(NOW + timedelta(hours=9))] == ["c"]
