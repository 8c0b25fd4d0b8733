"""What may be given back, and who has to agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.kit.money import Money
from quntedge.refunds import rules
from quntedge.refunds.errors import AboveWhatIsLeft, InvalidRefund, NothingLeftToRefund
from quntedge.refunds.rules import Standing
from quntedge.settings import ConfigurationError, Settings, load_settings

LIMITS = {"usd": Money(10000, "usd")}
amounts = st.integers(1, 10**12)


def standing(total: int, held: int) -> Standing:
    return Standing(True, Money(total, "usd"), Money(held, "usd"), disputed=False)


@given(total=amounts, wishes=st.lists(st.none() | amounts, max_size=20))
def test_however_often_somebody_asks_no_more_is_promised_than_was_paid(total: int, wishes: list[int | None]) -> None:
    held = 0
    for wish in wishes:
        try:
            amount = rules.amount_of(standing(total, held), None if wish is None else Money(wish, "usd"))
        except (AboveWhatIsLeft, NothingLeftToRefund):
            assert held == total or (wish is not None and wish > total - held)
            continue
        assert amount.amount_minor == (total - held if wish is None else wish) > 0
        held += amount.amount_minor
    assert held <= total


@given(slices=st.lists(amounts, min_size=1, max_size=20))
def test_nobody_gets_around_the_limit_in_slices(slices: list[int]) -> None:
    alone = Money.zero("usd")
    for minor in slices:
        if not rules.needs_approval(Money(minor, "usd"), alone, LIMITS):
            alone += Money(minor, "usd")
    assert alone <= LIMITS["usd"]


def test_without_a_limit_everything_needs_a_second_person() -> None:
    yen = Money(1, "jpy")
    assert rules.needs_approval(yen, Money.zero("jpy"), LIMITS)
    assert not rules.needs_approval(LIMITS["usd"], Money.zero("usd"), LIMITS)
    assert rules.needs_approval(LIMITS["usd"], Money(1, "usd"), LIMITS)


@pytest.mark.parametrize(
    ("minor", "status", "disputed"),
    [
        (0, None, False),
        (0, "won", False),
        (0, "warning_closed", False),
        (0, "warning_needs_response", True),
        (0, "under_review", True),
        (0, "lost", True),
        (0, "something_new", True),
        (1, "won", True),
    ],
)
def test_what_counts_as_disputed(minor: int, status: str | None, disputed: bool) -> None:
    assert rules.is_disputed(minor, status) is disputed


def test_notes_are_kept_tidy() -> None:
    assert rules.note_text("  Cafe\u0301 \ud800 ") == "Café"
    assert rules.note_text(" \n ") is rules.note_text(None) is None
    with pytest.raises(InvalidRefund):
        rules.note_text("x" * (rules.NOTE_MAXIMUM + 1))


def test_limits_are_settings(settings: Settings) -> None:
    def limits(text: str) -> dict[str, Money]:
        return load_settings(**settings.model_dump() | {"refund_approval_above": text}).refund_limits()

    assert limits("250 usd, 1.5 kwd,3000 jpy ") == {
        "usd": Money(25000, "usd"),
        "kwd": Money(1500, "kwd"),
        "jpy": Money(3000, "jpy"),
    }
    assert limits("") == {}
    for wrong in ("100", "usd 100", "100.001 usd", "-1 usd", "1 usd, 2 usd", "1e2 usd", "١٠٠ usd", "10 xxx"):
        with pytest.raises(ConfigurationError, match="QUNTEDGE_REFUND_APPROVAL_ABOVE"):
            limits(wrong)
