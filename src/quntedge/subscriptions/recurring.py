"""What a subscription brings in at an instant, from its history alone. A figure asked of a past instant never changes.

Counted is the price agreed for a period, after discounts and before taxes, of what is paid for and goes on: active, and
past due as long as the grace lasts. Trials, pauses, lifetime plans and what has ended bring nothing; a cancellation
counts when it takes effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.money import Money
from quntedge.storage.rows import among
from quntedge.subscriptions.history import Entry, fold
from quntedge.subscriptions.models import SubscriptionEvent

_TOLD = (
    select(
        SubscriptionEvent.subscription_id,
        SubscriptionEvent.version,
        SubscriptionEvent.user_id,
        SubscriptionEvent.after,
        SubscriptionEvent.at,
    )
    .where(among(SubscriptionEvent.subscription_id))
    .order_by(SubscriptionEvent.subscription_id, SubscriptionEvent.version)
)


@dataclass(frozen=True, slots=True)
class Recurring:
    """What a subscription brings in: `price` for each period of the plan in this version. Who counts it by the month
    finds the length of the period at the plan's terms."""

    subscription_id: str
    user_id: str
    plan_id: str
    plan_version: int
    price: Money


def recurring(row: Mapping[str, Any], at: datetime) -> Recurring | None:
    """What follows from a row as the history gives it (`history.fold`); None where nothing comes in."""
    if not _counts(row, at) or row.get("renewal_price_minor") is None or row.get("currency") is None:
        return None
    price = Money(row["renewal_price_minor"], row["currency"])
    return Recurring(row["id"], row["user_id"], row["plan_id"], row["plan_version"], price) if price else None


def _counts(row: Mapping[str, Any], at: datetime) -> bool:
    if row.get("status") == "active":
        # Between the end that was asked for and the news of it nothing comes in any more.
        ends = row.get("period_end") if row.get("cancel_at_period_end") else None
        return ends is None or at < ends
    grace_until = row.get("grace_until")
    return row.get("status") == "past_due" and grace_until is not None and at < grace_until


async def recurring_at(session: AsyncSession, subscription_ids: Sequence[str], at: datetime) -> list[Recurring]:
    """What these subscriptions brought in at an instant, by what was known then; one index is read."""
    told: dict[str, list[Entry]] = {}
    for row in await session.execute(_TOLD.where(SubscriptionEvent.at <= at), {"values": list(subscription_ids)}):
        told.setdefault(row.subscription_id, []).append(Entry(*row))
    found = (recurring(fold(entries), at) for _, entries in sorted(told.items()))
    return [one for one in found if one is not None]
