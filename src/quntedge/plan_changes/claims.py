"""Recognising what a change has brought about: memberships and payments that appear at the gateway because of it.

A hosted checkout gives its metadata to the membership; a charge of a saved method gives it to the payment alone, so
there the member and the plan that were charged tell. Nothing is ever recognised by an e-mail address.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.gateway.port import MembershipSnapshot, PaymentSnapshot
from quntedge.kit.ids import is_id
from quntedge.kit.logging import get_logger
from quntedge.plan_changes.models import OPEN, PlanChange
from quntedge.plan_changes.reviews import PAID_AGAIN
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription, SubscriptionMembership

CHANGE_KEY = "change_id"
"""Name under which a change's id travels in the gateway's metadata."""
PREFIX = "chg"

_CHARGED = ("running", "requires_action", "collecting", "failed")
"""States in which a saved method is charged, or was in vain as far as we know."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """Which change something came from, and whose it is."""

    change_id: str
    user_id: str
    subscription_id: str
    plan_id: str


async def claim_memberships(unit: UnitOfWork, snapshots: Sequence[MembershipSnapshot]) -> dict[str, Claim]:
    """The changes that memberships nobody knew came from, by membership id.

    Notes the membership on its change, so that the change goes on from there. A second one for the same change, and one
    for a change that has ended, belong to the customer as well, but somebody has to look: they may have paid twice.
    """
    found = await _matching(unit.session, snapshots)
    if not found:
        return {}
    # Subscriptions first, in the order of their ids: whoever changes a change holds its subscription.
    ids = sorted({change.subscription_id for change in found.values()})
    await unit.session.execute(
        select(Subscription.id).where(Subscription.id.in_(ids)).order_by(Subscription.id).with_for_update()
    )
    for membership_id, change in sorted(found.items()):
        taken = await unit.session.scalar(
            update(PlanChange)
            .where(
                PlanChange.id == change.change_id,
                or_(PlanChange.new_membership_id.is_(None), PlanChange.new_membership_id == membership_id),
                PlanChange.state.in_(OPEN),
            )
            .values(new_membership_id=membership_id)
            .returning(PlanChange.id)
            .execution_options(synchronize_session=False)
        )
        if taken is None:
            await _for_review(unit, change, membership_id)
    return found


async def _for_review(unit: UnitOfWork, claim: Claim, membership_id: str) -> None:
    log.warning("plan_change.unexpected_membership", change_id=claim.change_id, membership_id=membership_id)
    await unit.session.execute(
        update(PlanChange)
        .where(PlanChange.id == claim.change_id, PlanChange.new_membership_id.is_distinct_from(membership_id))
        .values(review=f"{PAID_AGAIN}{membership_id}")
        .execution_options(synchronize_session=False)
    )


async def _matching(session: AsyncSession, snapshots: Sequence[MembershipSnapshot]) -> dict[str, Claim]:
    named = {s.metadata[CHANGE_KEY] for s in snapshots if is_id(s.metadata.get(CHANGE_KEY, ""), PREFIX)}
    members = {s.member_id for s in snapshots if s.member_id is not None and CHANGE_KEY not in s.metadata}
    rows = (
        await session.scalars(
            select(PlanChange)
            .where(
                or_(
                    PlanChange.id.in_(named),
                    PlanChange.new_membership_id.in_({s.membership_id for s in snapshots}),
                    # A charge was sent, or is just being sent, and nothing has come of it so far.
                    PlanChange.whop_member_id.in_(members)
                    & PlanChange.new_membership_id.is_(None)
                    & PlanChange.state.in_(_CHARGED)
                    & (PlanChange.pay_by == "method"),
                )
            )
            .order_by(PlanChange.created_at.desc(), PlanChange.id.desc())
        )
        if snapshots
        else ()
    )
    changes = list(rows)
    found: dict[str, Claim] = {}
    for snapshot in snapshots:
        change = next((row for row in changes if _explains(row, snapshot)), None)
        if change is not None:
            found[snapshot.membership_id] = _claim(change)
    return found


def _explains(change: PlanChange, snapshot: MembershipSnapshot) -> bool:
    """Whether a change accounts for a membership. One that existed before it never came from it."""
    if snapshot.membership_id == change.new_membership_id:
        return True
    if CHANGE_KEY in snapshot.metadata:
        return snapshot.metadata[CHANGE_KEY] == change.id
    if snapshot.membership_id == change.old_membership_id or snapshot.metadata:
        return False
    return (
        change.pay_by == "method"
        and change.state in _CHARGED
        and change.new_membership_id is None
        and snapshot.member_id == change.whop_member_id
        and snapshot.plan_id == change.to_whop_plan_id
    )


async def claims_of_payments(session: AsyncSession, snapshots: Sequence[PaymentSnapshot]) -> dict[str, Claim]:
    """The changes that payments were made for, by payment id; their metadata names them."""
    named = {s.payment_id: s.metadata[CHANGE_KEY] for s in snapshots if is_id(s.metadata.get(CHANGE_KEY, ""), PREFIX)}
    if not named:
        return {}
    rows = await session.scalars(select(PlanChange).where(PlanChange.id.in_(set(named.values()))))
    changes = {row.id: _claim(row) for row in rows}
    return {payment_id: changes[change_id] for payment_id, change_id in named.items() if change_id in changes}


async def changes_of_memberships(session: AsyncSession, membership_ids: Collection[str]) -> Mapping[str, str]:
    """The running changes whose new membership is one of these: their process ids, by change id."""
    rows = await session.execute(
        select(PlanChange.id, PlanChange.process_id).where(
            PlanChange.new_membership_id.in_(membership_ids), PlanChange.state.in_(OPEN)
        )
    )
    return {row.id: row.process_id for row in rows}


async def member_of(session: AsyncSession, membership_id: str) -> str | None:
    """The gateway's member that a membership belongs to: saved methods hang on it."""
    found: str | None = await session.scalar(
        select(SubscriptionMembership.whop_member_id).where(SubscriptionMembership.whop_membership_id == membership_id)
    )
    return found


def _claim(change: PlanChange) -> Claim:
    return Claim(change.id, change.user_id, change.subscription_id, change.to_plan_id)
