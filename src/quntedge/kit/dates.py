"""Days as people write them, and where they begin."""

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime

SHORT = "d MMM y"


def day(value: date, locale: str, style: str = "long") -> str:
    """A day in a locale ("fr", "en_GB"); `style` is one of babel's, or a pattern such as `SHORT`.

    The first of a month is "1er" in French, which the locale data leave to the writer.
    """
    return _first(value, locale, str(format_date(value, style, locale=locale)))


def instant(value: datetime, locale: str, style: str = "long") -> str:
    """A day and a time, in the value's own zone."""
    return _first(value, locale, str(format_datetime(value, style, tzinfo=value.tzinfo, locale=locale)))


@lru_cache(maxsize=1024)
def zone_of(name: str | None, default: str) -> ZoneInfo:
    """The zone with this name; `default` for nobody's, and for one that this machine does not know (any more)."""
    try:
        return ZoneInfo(name or default)
    except (KeyError, ValueError, OSError):  # KeyError is what an unknown zone raises, the others a malformed name
        return ZoneInfo(default)


def at_home(value: datetime, zone: ZoneInfo) -> datetime:
    """The same instant by the clocks of a zone. One that stands in a zone of its own, because a rule says so (the last
    day of a time limit), stays there; times come from the database in UTC."""
    return value.astimezone(zone) if value.tzinfo is UTC or value.tzname() == "UTC" else value


def _first(value: date, locale: str, text: str) -> str:
    is_first = value.day == 1 and locale.partition("_")[0] == "fr" and text.startswith("1 ")
    return f"1er{text[1:]}" if is_first else text
