"""Moments as people type them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from quntedge.commands.times import parse_since

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-01", datetime(2026, 8, 1, tzinfo=UTC)),
        ("2026-08-01T10:30", datetime(2026, 8, 1, 10, 30, tzinfo=UTC)),
        ("2026-08-01T10:30Z", datetime(2026, 8, 1, 10, 30, tzinfo=UTC)),
        ("2026-08-01T10:30+02:00", datetime(2026, 8, 1, 8, 30, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("12h", NOW - timedelta(hours=12)),
        (" 7d ", NOW - timedelta(days=7)),
    ],
)
def test_a_time_or_how_long_ago(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment
    assert parse_since(text, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "0d", "-1d", "1w", "999999d", "2026-13-01", "٣d", "0001-01-01T00:00+14:00"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a time"):
        parse_since(text, NOW)
