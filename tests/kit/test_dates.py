from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from quntedge.kit.dates import SHORT, day, instant


@pytest.mark.parametrize(
    ("value", "locale", "style", "text"),
    [
        (date(2026, 10, 1), "fr", "long", "1er octobre 2026"),
        (date(2026, 10, 1), "fr_CA", "long", "1er octobre 2026"),
        (date(2026, 10, 1), "fr", SHORT, "1er oct. 2026"),
        (date(2026, 10, 11), "fr", "long", "11 octobre 2026"),
        (date(2026, 10, 21), "fr", SHORT, "21 oct. 2026"),
        (date(2026, 10, 1), "fr", "MMMM y", "octobre 2026"),
        (date(2026, 10, 1), "en", "long", "October 1, 2026"),
        (date(2026, 10, 1), "en_GB", "long", "1 October 2026"),
        (date(2026, 10, 1), "en", SHORT, "1 Oct 2026"),
    ],
)
def test_a_day_is_written_as_its_readers_write_it(value: date, locale: str, style: str, text: str) -> None:
    assert day(value, locale, style) == text


def test_a_time_is_that_of_its_own_zone() -> None:
    moment = datetime(2026, 9, 30, 23, 30, tzinfo=UTC)
    assert instant(moment, "en", f"{SHORT}, HH:mm") == "30 Sep 2026, 23:30"
    later = moment.astimezone(timezone(timedelta(hours=2)))
    assert instant(later, "fr", f"{SHORT}, HH:mm") == "1er oct. 2026, 01:30"
