"""Decisions about stored deliveries. Pure."""

import random
from datetime import timedelta

MAX_ATTEMPTS = 8
LEASE = timedelta(minutes=2)
"""How long an event may be away to be read again from the gateway before somebody else takes it up."""

_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(hours=1)


def retry_delay(attempts: int, jitter: random.Random) -> timedelta:
    """The wait after this many failed attempts: 2 s, 8 s, 32 s … at most an hour, ± 20 %.

    Eight attempts span an hour and three quarters, so that an hour of trouble at the gateway leaves no dead letters.
    """
    delay = min(_FIRST_DELAY * 4.0 ** (attempts - 1), _LONGEST_DELAY)
    return delay * jitter.uniform(0.8, 1.2)
