"""Days as people write them."""

from datetime import date, datetime

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


def _first(value: date, locale: str, text: str) -> str:
    is_first = value.day == 1 and locale.partition("_")[0] == "fr" and text.startswith("1 ")
    return f"1er{text[1:]}" if is_first else text
