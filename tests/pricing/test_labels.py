"""The words of lines."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quntedge.kit.money import Money
from quntedge.pricing.labels import line_text, share_text
from quntedge.pricing.preview import Item, preview
from quntedge.pricing.rules import Discount, Label, Line, LineKind

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("basis_points", "english", "french"),
    [
        (2000, "20%", "20\u202f%"),
        (1250, "12.5%", "12,5\u202f%"),
        (1255, "12.55%", "12,55\u202f%"),
        (5, "0.05%", "0,05\u202f%"),
        (10_000, "100%", "100\u202f%"),
        (None, "", ""),
    ],
)
def test_shares_are_written_exactly(basis_points: int | None, english: str, french: str) -> None:
    assert share_text(basis_points) == english
    assert share_text(basis_points, "fr") == french


def test_every_line_has_words_in_both_languages() -> None:
    for label in Label:
        line = Line(LineKind.PLAN, label, Money(1, "usd"), "Monthly", NOW, NOW + timedelta(days=30), percent_bp=2000)
        for locale in ("en", "fr", "de"):
            assert line_text(line, locale)
        assert line_text(line, "en") != line_text(line, "fr-CA")


def test_what_a_buyer_reads() -> None:
    found = preview(
        Item("Monthly", Money(2900, "usd"), period_days=30), NOW, discount=Discount("HELLO", percent_bp=1250)
    )
    assert [line_text(line) for line in found.today.lines] == ["Monthly, 1 Sep 2026 to 1 Oct 2026", "HELLO: 12.5% off"]
    assert line_text(found.today.lines[0], "fr") == "Monthly, du 1er sept. 2026 au 1er oct. 2026"
    assert line_text(found.today.lines[0], zone=ZoneInfo("Pacific/Kiritimati")).endswith("2 Sep 2026 to 2 Oct 2026")
    once = preview(Item("Lifetime", Money(49_900, "usd")), NOW, discount=Discount("HELLO", amount=Money(900, "usd")))
    assert [line_text(line, "fr") for line in once.today.lines] == ["Lifetime, une fois pour toutes", "HELLO"]
