"""What others ask about trials."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.people import sharing_mailbox
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import SubscriptionMembership
from quntedge.trials.models import Trial

_CONVERTED_BY = select(Trial.transaction_id).where(among(Trial.transaction_id))


async def converted_by(unit: UnitOfWork, transaction_ids: Collection[str]) -> set[str]:
    """Which of these payments made a subscription of a trial."""
    if not transaction_ids:
        return set()
    return {row.transaction_id for row in await unit.fetch(_CONVERTED_BY, {"values": Texts(transaction_ids)})}


async def tried_plans(session: AsyncSession, user_id: str, before: datetime) -> frozenset[str]:
    """The gateway's ids of the plans that a customer had begun to try by then, under whatever address that reaches
    their mailbox. The gateway gives one trial for each: whoever buys such a plan again is charged at once."""
    found = await session.scalars(
        select(SubscriptionMembership.whop_plan_id)
        .join(Trial, Trial.whop_membership_id == SubscriptionMembership.whop_membership_id)
        .where(Trial.user_id.in_(sharing_mailbox(user_id)), Trial.started_at < before)
    )
    return frozenset(found)
