"""Keeps payment_method in step with what Whop has saved for a member.

Whop sends nothing when a method is added elsewhere, replaced or removed. So a member's methods are read after what may
have changed them (a purchase, a payment that had failed before, a saved card), and each night while a subscription
lives.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.gateway.acts import MethodActs, StoredMethod
from quntedge.gateway.errors import GatewayError, GatewayRateLimited
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.methods.models import MethodMember, PaymentMethod
from quntedge.methods.queries import Renewal, renewals
from quntedge.methods.rules import WARNED_ABOUT, Expiry, Paying, default_of, warn_at
from quntedge.payments.models import PaymentTransaction
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

NIGHTLY = timedelta(hours=24)
SELDOM = timedelta(days=30)
"""For members of whom nothing is going to be charged."""

_AGAIN = timedelta(hours=1)
_BATCH = 100
"""A minute's worth of reads: Whop allows six times as many."""

log = get_logger(__name__)

# Whoever changes what a customer has saved holds all of it, in one order.
_ALL_OF_USER = (
    select(PaymentMethod).order_by(PaymentMethod.id).with_for_update().execution_options(populate_existing=True)
)
_PAID_LAST = (
    select(PaymentTransaction.whop_method_id, PaymentTransaction.paid_at)
    .where(PaymentTransaction.paid_at.is_not(None), PaymentTransaction.whop_method_id.is_not(None))
    .order_by(PaymentTransaction.paid_at.desc())
    .limit(1)
)
# The number stands in it so that a plan made without the parameters knows how few rows there are.
_CLAIM = text(
    f"""
    UPDATE method_member AS m SET sync_at = :again
      FROM (SELECT user_id, whop_member_id FROM method_member WHERE sync_at <= :now
            ORDER BY sync_at LIMIT {_BATCH} FOR UPDATE SKIP LOCKED) AS due
     WHERE m.user_id = due.user_id AND m.whop_member_id = due.whop_member_id
    RETURNING m.user_id, m.whop_member_id
    """  # noqa: S608 (a number of ours)
)


class MethodSync:
    """Opens and commits its own units of work, because it calls the gateway."""

    def __init__(self, units: UnitOfWorkFactory, gateway: MethodActs) -> None:
        self._units = units
        self._gateway = gateway

    async def sync(self, user_id: str, member_id: str) -> None:
        """Reads a member's methods and takes them over. Harmless to repeat. Raises the gateway's errors."""
        asked_at = self._units.clock.now()
        methods = await self._gateway.methods_of(member_id)
        async with self._units() as unit:
            await take_over(unit, user_id, member_id, methods, asked_at)
            await unit.commit()

    async def refresh(self, user_id: str) -> bool:
        """The same for every member a customer is; False when the gateway cannot be asked now."""
        async with self._units() as unit:
            members = (
                await unit.session.scalars(
                    select(MethodMember.whop_member_id)
                    .where(MethodMember.user_id == user_id)
                    .order_by(MethodMember.created_at)
                )
            ).all()
        try:
            for member_id in members:
                await self.sync(user_id, member_id)
        except GatewayError as error:
            log.warning("methods.not_refreshed", user_id=user_id, reason=error.code)
            return False
        return True

    async def sync_due(self) -> int:
        """A sweep: reads the methods of members whose turn it is; how many there were."""
        async with self._units() as unit:
            now = unit.clock.now()
            # Put off before the calls, so that one the gateway chokes on does not come again at once.
            found = await unit.session.execute(_CLAIM, {"now": now, "again": now + _AGAIN})
            due = [(row.user_id, row.whop_member_id) for row in found]
            await unit.commit()
        for user_id, member_id in due:
            try:
                await self.sync(user_id, member_id)
            except GatewayRateLimited as error:
                log.warning("methods.sync_stopped", reason=error.code)
                break
            except GatewayError as error:
                log.warning("methods.not_synced", user_id=user_id, reason=error.code)
        return len(due)


async def note_members(unit: UnitOfWork, members: Collection[tuple[str, str]]) -> None:
    """Remembers which members (user id, member id) customers are."""
    if members:
        now = unit.clock.now()
        await unit.session.execute(
            insert(MethodMember)
            .values(
                [{"user_id": user, "whop_member_id": member, "created_at": now} for user, member in sorted(members)]
            )
            .on_conflict_do_nothing()
        )


async def take_over(
    unit: UnitOfWork, user_id: str, member_id: str, methods: Sequence[StoredMethod], asked_at: datetime
) -> None:
    """Makes our rows what Whop said at `asked_at`: new ones appear, missing ones are marked as removed.

    An answer that was overtaken by a later one changes nothing.
    """
    now = unit.clock.now()
    await note_members(unit, [(user_id, member_id)])
    member = await unit.session.get_one(MethodMember, (user_id, member_id), with_for_update=True)
    if member.synced_at is not None and member.synced_at > asked_at:
        return
    member.synced_at = asked_at
    await unit.session.flush()
    if methods:
        rows = [_values(user_id, member_id, method, now) for method in sorted(methods, key=lambda one: one.method_id)]
        statement = insert(PaymentMethod).values(rows)
        changing = {name: statement.excluded[name] for name in _FROM_WHOP}
        await unit.session.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "whop_method_id"], set_=changing | {"removed_at": None}
            )
        )
    await unit.session.execute(
        update(PaymentMethod)
        .where(
            PaymentMethod.user_id == user_id,
            PaymentMethod.whop_member_id == member_id,
            PaymentMethod.whop_method_id.not_in([method.method_id for method in methods]),
            PaymentMethod.removed_at.is_(None),
        )
        .values(removed_at=now, is_default=False, default_since=None, warn_at=None, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    renewal = (await renewals(unit.session, [user_id])).get(user_id)
    await settle_default(unit, user_id, renewal)
    member.sync_at = now + (NIGHTLY if renewal is not None else SELDOM)


_FROM_WHOP = ("whop_member_id", "kind", "brand", "last4", "exp_month", "exp_year", "saved_at", "updated_at")


def _values(user_id: str, member_id: str, method: StoredMethod, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("pm", now),
        "user_id": user_id,
        "whop_method_id": method.method_id,
        "whop_member_id": member_id,
        "kind": method.kind,
        "brand": method.brand,
        "last4": method.last4,
        "exp_month": method.exp_month,
        "exp_year": method.exp_year,
        "saved_at": method.created_at,
        "created_at": now,
        "updated_at": now,
    }


async def settle_default(unit: UnitOfWork, user_id: str, renewal: Renewal | None, chosen: Paying | None = None) -> None:
    """Works out which method pays from now on, and when its expiry is to be announced.

    `chosen` is what the gateway was just told to use.
    """
    rows = (await unit.session.scalars(_ALL_OF_USER.where(PaymentMethod.user_id == user_id))).all()
    there = {row.whop_method_id: row for row in rows if row.removed_at is None}
    held = chosen
    for row in there.values():
        if held is None and row.is_default and row.default_since is not None:
            held = Paying(row.whop_method_id, row.default_since)
    paid_last = None
    if renewal is not None and chosen is None:
        query = _PAID_LAST.where(PaymentTransaction.subscription_id == renewal.subscription_id)
        paid = (await unit.session.execute(query)).one_or_none()
        paid_last = Paying(paid.whop_method_id, paid.paid_at) if paid is not None else None
    pays = default_of(held, paid_last, there)
    now = unit.clock.now()
    for row in rows:
        if row.is_default and (pays is None or row.whop_method_id != pays.whop_method_id):
            row.is_default, row.default_since, row.warn_at, row.updated_at = False, None, None, now
    # One customer has one default: the index would refuse the new one while the old one stands.
    await unit.session.flush()
    if pays is None:
        return
    row = there[pays.whop_method_id]
    row.is_default, row.default_since, row.updated_at = True, pays.since, now
    warned = renewal is not None and renewal.status in WARNED_ABOUT and not renewal.ends
    row.warn_at = warn_at(Expiry.of(row.exp_month, row.exp_year), row.warned_for, now) if warned else None
    await unit.session.flush()
