"""What an audit row says, which refusals are worth one, and how rows are chained. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from quntedge.kit.errors import Conflict, Forbidden, Gone, Malformed, NotFound, QuntedgeError

Detail = str | int | bool | None | list[str]
"""What a detail can be: nothing whose spelling could change between writing and reading back, so no floats."""

GENESIS = bytes(32)
"""What stands where the seal before the first one would be."""

FOLD = timedelta(minutes=1)
"""Repetitions of a denied act within this time become one row with their number."""

OWN_ROWS = 20
"""Denied acts that somebody gets rows of their own for within `FOLD`; the rest counts by act and code alone."""

LATE = timedelta(minutes=15)
"""An event without a seal for longer than this is a reason to look: no worker seals, or somebody removed its turn."""

_ID = re.compile(r"[a-z][a-z0-9]{1,15}_[0-9a-z]{26}")
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")
# A form sent twice, a form that is too old, or a body nobody could read: nothing was asked for that could be denied.
_NO_DENIAL = frozenset({Malformed.code, "csrf_failed"})
_SAME_REQUEST = "idempotency_"
# Guessing is what these are denied to; there is no id to be right or wrong about.
_GUESSES = frozenset({"promotion_code_unknown"})


class ActorKind(StrEnum):
    """Who acts: a customer, a tool with an API key, somebody at the terminal, or nobody but the product."""

    CUSTOMER = "customer"
    API_KEY = "api_key"
    OPERATOR = "operator"
    SYSTEM = "system"


class Outcome(StrEnum):
    """Whether an act was done, or denied by a rule."""

    DONE = "done"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `holder` is the person behind a key or at the terminal, as approvals compare them (`staff:kim`)."""

    kind: ActorKind
    id: str | None = None
    holder: str | None = None


SYSTEM = Actor(ActorKind.SYSTEM)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an act is about. Without an id: one of the kind, not (yet) known which."""

    kind: str
    id: str | None = None


def subject_of(kind: str | None, named: str | None) -> Subject | None:
    """The subject of an act. An id that cannot be one is left out: what was typed there may be anything."""
    if kind is None:
        return None
    return Subject(kind, named if named is not None and _NAMED.fullmatch(named) else None)


def is_denial(error: QuntedgeError, subject: Subject | None, who: ActorKind) -> bool:
    """Whether an error denies somebody something, rather than saying that it could not be understood.

    What does not exist counts where it was named by an id of ours: it may be another customer's. A form that a customer
    filled in wrongly denies nothing; staff who want what cannot be (an amount of nothing) are told so by a rule.
    """
    if error.code in _NO_DENIAL or error.code.startswith(_SAME_REQUEST):
        return False
    if isinstance(error, NotFound):
        named = subject is not None and subject.id is not None and _ID.fullmatch(subject.id) is not None
        return named or error.code in _GUESSES
    if isinstance(error, Malformed):
        return who is not ActorKind.CUSTOMER
    return isinstance(error, Forbidden | Conflict | Gone)


def canonical(number: int, sealed_at: datetime, event: Mapping[str, Any]) -> bytes:
    """What a seal covers: the number, when it was sealed, and every column of the event, in one spelling."""
    content = {key: _moment(value) if isinstance(value, datetime) else value for key, value in event.items()}
    document = {"version": 1, "number": number, "sealed_at": _moment(sealed_at), "event": content}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def seal(previous: bytes, number: int, sealed_at: datetime, event: Mapping[str, Any]) -> bytes:
    """The hash of an event's place in the chain: SHA-256 over the hash before it and what `canonical` says."""
    return hashlib.sha256(previous + canonical(number, sealed_at, event)).digest()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
