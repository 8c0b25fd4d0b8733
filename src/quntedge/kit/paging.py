"""Cursor paging: a cursor is the (time, id) of the last row seen, opaque to callers, strict when read back."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from quntedge.kit.errors import InvalidRequest

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CONTENT = re.compile(r"(-?[0-9]{1,18})\.([A-Za-z0-9_\-]{1,100})")
_MAX_CURSOR_CHARS = 200
_LIMIT = re.compile(r"[0-9]{1,6}")


class InvalidCursor(InvalidRequest):
    """400: the cursor was not made by us."""

    code = "invalid_cursor"
    title = "The cursor is not valid"


class InvalidLimit(InvalidRequest):
    """400: the page size is not a number in the permitted range."""

    code = "invalid_limit"
    title = "The limit is not valid"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; ``next_cursor`` is None on the last page."""

    data: Sequence[T]
    next_cursor: str | None

    @classmethod
    def cut(cls, rows: Sequence[T], limit: int, key: Callable[[T], tuple[datetime, str]]) -> "Page[T]":
        """Make a page of at most ``limit`` rows from a query that asked for ``limit + 1``.

        The one row too many tells that there is a next page; ``key`` gives the (time, id) by which rows are ordered.
        """
        if len(rows) <= limit:
            return cls(rows, None)
        kept = rows[:limit]
        return cls(kept, encode_cursor(*key(kept[-1])))


def encode_cursor(at: datetime, id: str) -> str:
    """Return the opaque, URL-safe cursor of the row with time ``at`` (aware, to the microsecond) and ``id``.

    Raises ValueError for an id that could not be read back.
    """
    content = f"{(at - _EPOCH) // _MICROSECOND}.{id}"
    if not _CONTENT.fullmatch(content):
        raise ValueError("a cursor's id is 1 to 100 letters, digits, underscores and hyphens")
    return base64.urlsafe_b64encode(content.encode("ascii")).rstrip(b"=").decode("ascii")


def decode_cursor(text: str, prefix: str | None = None) -> tuple[datetime, str]:
    """Return the (time, id) in a cursor. Raises InvalidCursor for anything encode_cursor did not make.

    With the ``prefix`` of the listed rows' ids, the cursor of another list is refused as well.
    """
    refusal = "The cursor is not one we gave out; leave it out to start from the first page."
    if len(text) > _MAX_CURSOR_CHARS:
        raise InvalidCursor(refusal)
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        match = _CONTENT.fullmatch(content)
        if match is None:
            raise InvalidCursor(refusal)
        at, id = _EPOCH + int(match[1]) * _MICROSECOND, match[2]
    except (binascii.Error, ValueError, OverflowError):
        raise InvalidCursor(refusal) from None
    # Base64 and leading zeros allow several spellings of one cursor; only ours is accepted.
    if encode_cursor(at, id) != text:
        raise InvalidCursor(refusal)
    if prefix is not None and not id.startswith(f"{prefix}_"):
        raise InvalidCursor("The cursor is one of another list; leave it out to start from the first page.")
    return at, id


def parse_limit(text: str | None, default: int = 20, maximum: int = 100) -> int:
    """Return the page size asked for, or ``default``. Raises InvalidLimit unless it is 1 to ``maximum``."""
    if text is None:
        return default
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= maximum:
        raise InvalidLimit(f"limit must be a whole number from 1 to {maximum}.")
    return int(text)
