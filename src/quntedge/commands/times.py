"""Moments as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"([1-9][0-9]{0,4})(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_since(text: str, now: datetime) -> datetime:
    """Reads `2026-09-01`, `2026-09-01T12:00Z`, or how long ago: `30m`, `12h`, `7d`. Without a zone it is UTC.

    Raises `typer.BadParameter`.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    return _absolute(text, "2026-09-01, 2026-09-01T12:00Z, 30m, 12h or 7d")


def parse_moment(text: str) -> datetime:
    """Reads `2026-09-01` or `2026-09-01T12:00Z`. Without a zone it is UTC. Raises `typer.BadParameter`."""
    return _absolute(text, "2026-09-01 or 2026-09-01T12:00Z")


def _absolute(text: str, examples: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first or last day there is may be another one in UTC
        raise typer.BadParameter(f"{text!r} is not a time; write it as {examples}.") from None
