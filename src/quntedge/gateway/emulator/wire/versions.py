"""API versions: dates, some with a number behind them, such as 2026-10-15-1."""

import re
from datetime import date

from quntedge.gateway.emulator.wire.errors import bad_request

NEWEST_VERSION = "2026-10-15-1"
"""What the official SDK sends, and what a request without the header gets: new keys are pinned to the newest."""

OLDEST_VERSION = "2026-09-02-1"
"""The emulator's API speaks native shapes only; Whop itself would answer older versions in older shapes."""

FIRST_VERSION = "2025-01-01"
"""Whop's oldest, to which an endpoint's pin may go back."""

_FORM = re.compile(r"(20\d\d)-(\d\d)-(\d\d)(?:-(\d{1,2}))?", re.ASCII)


def version_order(text: str) -> tuple[date, int] | None:
    """Something to compare versions by; None for what is none. A version without a number comes before its -1."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, number = found.groups()
    try:
        return date(int(year), int(month), int(day)), int(number or 0)
    except ValueError:
        return None


def is_version(text: str, oldest: str = FIRST_VERSION) -> bool:
    """Whether a text names a version from `oldest` to the newest."""
    order, first, last = version_order(text), version_order(oldest), version_order(NEWEST_VERSION)
    return order is not None and first is not None and last is not None and first <= order <= last


def requested_version(header: str | None) -> str:
    """The version of a request. Raises ApiFault 400 for one that is unknown."""
    if header is None:
        return NEWEST_VERSION
    if not is_version(header, OLDEST_VERSION):
        raise bad_request(
            f"Unknown Api-Version-Date. The emulator speaks versions from {OLDEST_VERSION} to {NEWEST_VERSION}."
        )
    return header
