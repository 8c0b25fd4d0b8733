"""Our identifiers: a prefix that says what it is, and a UUIDv7 whose time is given by the caller.

``sub_`` + 26 characters of lower-case Crockford base32, so that a log line, a URL and a row agree, and rows sort by
creation. Within one process the ids of one millisecond sort in the order in which they were made.
"""

import os
import re
import sys
import threading
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIX = re.compile(r"[a-z][a-z0-9]{1,15}")
# 48 bits of time fill ten characters; then the version (0111) and the variant (10) show in characters 11 and 14.
_BODY = re.compile(rf"[0-7][{_ALPHABET}]{{9}}[ef][{_ALPHABET}]{{2}}[89abrstv][{_ALPHABET}]{{12}}")

_RANDOM_BITS = 74
_RAND_B_BITS = 62
_STEP_BYTES = 4
_REMEMBERED_MILLISECONDS = 1024


class _Sequence:
    """The 74 random bits of a UUIDv7, increasing within a millisecond (RFC 9562 §6.2, method 2).

    A millisecond starts at a random number with a clear top bit, and each further id adds a random step of up to
    2³² + 1: 2⁴⁰ ids fit a millisecond. Milliseconds may interleave (two callers, two times), so the last few are kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[int, int] = {}

    def next(self, millisecond: int) -> int:
        with self._lock:
            last = self._last.get(millisecond)
            if last is None:
                value = int.from_bytes(os.urandom(10)) >> (80 - _RANDOM_BITS + 1)
                if len(self._last) >= _REMEMBERED_MILLISECONDS:
                    del self._last[next(iter(self._last))]
            else:
                value = last + 1 + int.from_bytes(os.urandom(_STEP_BYTES))
            self._last[millisecond] = value
            return value

    def forget(self) -> None:
        """Start afresh in a forked child: parent and child must not walk from the same number."""
        self._lock = threading.Lock()
        self._last.clear()


_sequence = _Sequence()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_sequence.forget)


def new_id(prefix: str, at: datetime) -> str:
    """Return a new id of kind ``prefix`` whose time is ``at`` (aware), to the millisecond.

    Raises ValueError for a prefix that is not 2–16 lower-case letters and digits or a time before 1970, TypeError for
    a naive time.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"an id prefix is 2 to 16 lower-case letters and digits, not {prefix!r}")
    since = at - _EPOCH
    millisecond = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    if millisecond < 0:
        raise ValueError("an id cannot be older than 1970")
    random_bits = _sequence.next(millisecond)
    rand_a, rand_b = random_bits >> _RAND_B_BITS, random_bits & ((1 << _RAND_B_BITS) - 1)
    n = millisecond << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    p = _PAIRS
    return (
        f"{prefix}_{p[n >> 120]}{p[n >> 110 & 1023]}{p[n >> 100 & 1023]}{p[n >> 90 & 1023]}{p[n >> 80 & 1023]}"
        f"{p[n >> 70 & 1023]}{p[n >> 60 & 1023]}{p[n >> 50 & 1023]}{p[n >> 40 & 1023]}{p[n >> 30 & 1023]}"
        f"{p[n >> 20 & 1023]}{p[n >> 10 & 1023]}{p[n & 1023]}"
    )


def is_id(text: str, prefix: str) -> bool:
    """Tell whether ``text`` is exactly an id of kind ``prefix``: right length, alphabet, version and variant."""
    head = f"{prefix}_"
    return text.startswith(head) and _BODY.fullmatch(text, len(head)) is not None
