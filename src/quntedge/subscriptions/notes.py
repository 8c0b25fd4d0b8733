"""Entries in the history of a subscription that change nothing about it: what happened to its payments."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription, SubscriptionEvent


async def append(
    unit: UnitOfWork, subscription_id: str, kind: str, *, actor: str, cause: str, facts: Mapping[str, Any]
) -> None:
    """Adds an entry in the caller's transaction; the subscription stays locked until it ends.

    `facts` are ids, amounts and times, under names that are no members of a subscription's state.
    """
    row = await unit.session.scalar(
        select(Subscription)
        .where(Subscription.id == subscription_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise ValueError(f"there is no subscription {subscription_id}")
    now = unit.clock.now()
    row.version += 1
    row.updated_at = now
    unit.session.add(
        SubscriptionEvent(
            id=new_id("sev", now),
            subscription_id=row.id,
            version=row.version,
            user_id=row.user_id,
            kind=kind,
            actor=actor,
            cause=cause,
            before={},
            after=dict(facts),
            at=now,
        )
    )
    await unit.session.flush()
