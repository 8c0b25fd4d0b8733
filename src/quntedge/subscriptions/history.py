"""The row of a subscription, made from its history alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quntedge.storage.base import UtcDateTime
from quntedge.subscriptions.models import Subscription

NOT_IN_HISTORY = frozenset({"renewal_check_at"})
"""Columns that say when to look again, not what the subscription is."""

COLUMNS = tuple(column.name for column in Subscription.__table__.columns if column.name not in NOT_IN_HISTORY)
"""What a history gives."""

_TIMES = frozenset(column.name for column in Subscription.__table__.columns if isinstance(column.type, UtcDateTime))
_NAMES = {"membership_id": "whop_membership_id"}
"""Names in the history that differ from those of the columns."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the fold needs of an entry."""

    subscription_id: str
    version: int
    user_id: str
    after: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A column that is not as the history has it. Values as they are printed; None where there is nothing."""

    field: str
    row: str | None
    history: str | None


def fold(entries: Sequence[Entry]) -> dict[str, Any]:
    """Puts entries, in the order of their versions, upon each other: the columns that they give."""
    row: dict[str, Any] = {}
    for entry in entries:
        row |= {"id": entry.subscription_id, "user_id": entry.user_id}
        row |= {"version": entry.version, "updated_at": entry.at}
        for name, value in entry.after.items():
            column = _NAMES.get(name, name)
            if column in COLUMNS:
                is_time = column in _TIMES and isinstance(value, str)
                row[column] = datetime.fromisoformat(value) if is_time else value
    return row


def compare(row: Mapping[str, Any], entries: Sequence[Entry]) -> list[FieldDifference]:
    """Where a row differs from its history; a history with a gap, or without a beginning, differs as well."""
    found = _gaps(entries)
    folded = fold(entries)
    for column in COLUMNS:
        if column not in folded:
            found.append(FieldDifference(column, _shown(row[column]), "(not told)"))
        elif row[column] != folded[column]:
            found.append(FieldDifference(column, _shown(row[column]), _shown(folded[column])))
    return found


def is_complete(entries: Sequence[Entry]) -> bool:
    """Whether a row can be made from these entries."""
    return not _gaps(entries) and set(COLUMNS) <= fold(entries).keys()


def _gaps(entries: Sequence[Entry]) -> list[FieldDifference]:
    numbers = [entry.version for entry in entries]
    if numbers == list(range(1, len(numbers) + 1)):
        return []
    return [FieldDifference("(history)", None, f"entries {', '.join(map(str, numbers))}")]


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
