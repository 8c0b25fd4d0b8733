"""A customer's saved means of payment, as they are shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.models import Plan
from quntedge.methods.models import PaymentMethod
from quntedge.methods.rules import RENEWING, WARN_BEFORE, Expiry
from quntedge.subscriptions.models import Subscription, SubscriptionMembership


@dataclass(frozen=True, slots=True)
class MethodView:
    """One means of payment as its owner sees it. `pays` is the name of the plan that it is charged for."""

    id: str
    whop_method_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    expired: bool
    expires_soon: bool
    is_default: bool
    pays: str | None
    saved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a customer is going to be charged for again, and as which member of ours at the gateway."""

    subscription_id: str
    user_id: str
    plan_id: str
    plan_name: str
    status: str
    ends: bool
    """It is set to end with its period."""
    whop_membership_id: str
    whop_member_id: str | None


_RENEWALS = (
    select(
        Subscription.id,
        Subscription.user_id,
        Subscription.plan_id,
        Plan.name,
        Subscription.status,
        Subscription.cancel_at_period_end,
        Subscription.whop_membership_id,
        SubscriptionMembership.whop_member_id,
    )
    .join(Plan, Plan.id == Subscription.plan_id)
    .join(SubscriptionMembership, SubscriptionMembership.whop_membership_id == Subscription.whop_membership_id)
    .where(Subscription.status.in_(RENEWING), Plan.kind == "recurring")
)


async def renewals(session: AsyncSession, user_ids: list[str]) -> dict[str, Renewal]:
    """What renews, by user: of each at most one, because at most one subscription lives."""
    rows = await session.execute(_RENEWALS.where(Subscription.user_id.in_(user_ids)))
    return {row.user_id: _renewal(row) for row in rows}


def _renewal(row: Any) -> Renewal:
    return Renewal(
        subscription_id=row.id,
        user_id=row.user_id,
        plan_id=row.plan_id,
        plan_name=row.name,
        status=row.status,
        ends=row.cancel_at_period_end,
        whop_membership_id=row.whop_membership_id,
        whop_member_id=row.whop_member_id,
    )


async def methods_of(session: AsyncSession, user_id: str, now: datetime) -> list[MethodView]:
    """What a customer has saved: the one that pays first, then the newest."""
    rows = await session.scalars(
        select(PaymentMethod)
        .where(PaymentMethod.user_id == user_id, PaymentMethod.removed_at.is_(None))
        .order_by(PaymentMethod.is_default.desc(), PaymentMethod.saved_at.desc().nulls_last(), PaymentMethod.id.desc())
    )
    renewal = (await renewals(session, [user_id])).get(user_id)
    return [view_of(row, renewal, now) for row in rows]


def view_of(row: PaymentMethod, renewal: Renewal | None, now: datetime) -> MethodView:
    """A row as its owner sees it."""
    expiry = Expiry.of(row.exp_month, row.exp_year)
    expired = expiry is not None and expiry.ends_at <= now
    return MethodView(
        id=row.id,
        whop_method_id=row.whop_method_id,
        kind=row.kind,
        brand=row.brand,
        last4=row.last4,
        exp_month=row.exp_month,
        exp_year=row.exp_year,
        expired=expired,
        expires_soon=expiry is not None and not expired and expiry.ends_at - WARN_BEFORE <= now,
        is_default=row.is_default,
        pays=renewal.plan_name if renewal is not None and row.is_default else None,
        saved_at=row.saved_at,
    )


async def default_method(session: AsyncSession, user_id: str) -> str | None:
    """The gateway's id of the method that pays a customer's subscription; None where none is known."""
    found: str | None = await session.scalar(
        select(PaymentMethod.whop_method_id).where(PaymentMethod.user_id == user_id, PaymentMethod.is_default)
    )
    return found
