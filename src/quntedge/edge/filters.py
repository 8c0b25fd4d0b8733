"""What a list of payments is narrowed by, read from the address. Shared by API and pages; unclear input is refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.models import Plan
from quntedge.kit.errors import InvalidRequest
from quntedge.kit.ids import is_id
from quntedge.kit.money import InvalidMoney, exponent
from quntedge.payments.models import STATUSES
from quntedge.payments.queries import TransactionFilter

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAMED = re.compile(r"[A-Za-z0-9_\-]{1,100}")
_YEARS = range(1970, 9000)
_PLAN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class InvalidFilter(InvalidRequest):
    """400: a list cannot be narrowed by this."""

    code = "invalid_filter"
    title = "The filter is not valid"


def status_filter(given: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """The statuses that are asked for; empty texts do not count. Raises `InvalidFilter` for one that is not `known`."""
    wanted = frozenset(text for text in given if text)
    if wanted - set(known):
        raise InvalidFilter(f"status must be one of {', '.join(known)}; repeat it for several.")
    return wanted


def id_filter(name: str, text: str | None, prefix: str) -> str | None:
    """The id in this filter; None for none. Raises `InvalidFilter` for what no row can have: an empty list would hide
    the slip."""
    if not text:
        return None
    if not is_id(text, prefix):
        raise InvalidFilter(f"{name} must be an id of ours: {prefix}_ and 26 letters and digits.")
    return text


@dataclass(frozen=True, slots=True)
class Asked:
    """The filter as it stands in the address, unread. Empty texts are as good as none: forms send them."""

    status: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    plan: str | None = None
    currency: str | None = None
    named: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is left out because of it."""
        return any((*self.status, self.since, self.until, self.plan, self.currency, self.named))


async def transaction_filter(session: AsyncSession, asked: Asked, user_id: str | None) -> TransactionFilter:
    """The filter that was asked for, bound to this customer; None for staff. Raises `InvalidFilter`."""
    since = _moment("from", asked.since)
    before = _moment("to", asked.until, whole_day=True)
    if since is not None and before is not None and before <= since:
        raise InvalidFilter("The period is empty: `to` comes before `from`. Swap the two.")
    return TransactionFilter(
        user_id=user_id,
        statuses=status_filter(asked.status, STATUSES),
        since=since,
        before=before,
        plan_id=await _plan_id(session, asked.plan),
        currency=_currency(asked.currency),
        named=_named(asked.named),
    )


def _moment(name: str, text: str | None, *, whole_day: bool = False) -> datetime | None:
    """A day (in UTC; the whole of it where it is the end of a period) or a point in time with its offset."""
    if not text:
        return None
    is_day = _DAY.fullmatch(text) is not None
    try:
        at = datetime.fromisoformat(f"{text}T00:00:00Z" if is_day else text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.year not in _YEARS:
        raise InvalidFilter(f"{name} must be a day such as 2026-09-01, or a time such as 2026-09-01T10:00:00Z.")
    return at + timedelta(days=1) if is_day and whole_day else at


async def _plan_id(session: AsyncSession, code: str | None) -> str | None:
    if not code:
        return None
    # Archived plans count: what was paid for them stays in the books.
    found = await session.scalar(select(Plan.id).where(Plan.code == code)) if _PLAN.fullmatch(code) else None
    if found is None:
        raise InvalidFilter("plan must be the code of a plan, such as monthly.")
    return found


def _currency(text: str | None) -> str | None:
    if not text:
        return None
    try:
        exponent(text)
    except InvalidMoney:
        raise InvalidFilter("currency must be an ISO 4217 code in lower case, such as usd.") from None
    return text


def _named(text: str | None) -> str | None:
    if not text:
        return None
    stripped = text.strip()
    if not _NAMED.fullmatch(stripped):
        raise InvalidFilter("id must be an id: letters, digits, _ and -, at most 100 of them.")
    return stripped
