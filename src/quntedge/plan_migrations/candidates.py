"""The subscribers of earlier versions of a plan, found portion by portion, and what a migration means to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.money import Money
from quntedge.plan_migrations import rules
from quntedge.plan_migrations.offers import Terms
from quntedge.plan_migrations.rules import Skip, Standing
from quntedge.subscriptions.models import LIVE, Subscription

PORTION = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subscriber, with what they pay and would pay for a period.

    `skip` says why they cannot be moved; otherwise they move at the first end of a period at `not_before` or later,
    which is `expected_at` as far as is known now; `look_at` is when to see how they stand. `new` is None where the new
    terms are not sold in their currency.
    """

    subscription_id: str
    user_id: str
    status: str
    version: int
    old: Money
    new: Money | None
    skip: Skip | None
    not_before: datetime
    expected_at: datetime
    look_at: datetime

    @property
    def rises(self) -> bool:
        """Whether they are to pay more."""
        return self.new is not None and self.new > self.old


async def candidates(
    session: AsyncSession, terms: Terms, from_version: int | None, notice_days: int, after: str, now: datetime
) -> list[Candidate]:
    """The next portion of those who have earlier terms, behind this subscription in the order of ids."""
    rows = await session.scalars(
        select(Subscription)
        .where(
            Subscription.plan_id == terms.plan.id,
            Subscription.status.in_(LIVE),
            Subscription.plan_version < terms.to_version,
            *([] if from_version is None else [Subscription.plan_version == from_version]),
            Subscription.id > after,
        )
        .order_by(Subscription.id)
        .limit(PORTION)
        .execution_options(populate_existing=True)
    )
    return [_candidate(row, terms, notice_days, now) for row in rows]


async def count(session: AsyncSession, terms: Terms, from_version: int | None) -> int:
    """How many live subscribers have earlier terms."""
    found = await session.scalar(
        select(func.count())
        .select_from(Subscription)
        .where(
            Subscription.plan_id == terms.plan.id,
            Subscription.status.in_(LIVE),
            Subscription.plan_version < terms.to_version,
            *([] if from_version is None else [Subscription.plan_version == from_version]),
        )
    )
    return found or 0


def standing_of(row: Subscription, *, is_changing: bool = False) -> Standing:
    """What of a subscription decides about its move."""
    known = row.renewal_price_minor is not None and row.currency is not None
    return Standing(
        status=row.status,
        plan_id=row.plan_id,
        version=row.plan_version,
        period_end=row.period_end,
        cancel_at_period_end=row.cancel_at_period_end,
        price=Money(row.renewal_price_minor or 0, row.currency or "") if known else None,
        is_changing=is_changing,
    )


def _candidate(row: Subscription, terms: Terms, notice_days: int, now: datetime) -> Candidate:
    currency = row.currency or terms.plan.price.currency
    bought, offer = terms.bought.get((row.plan_version, currency)), terms.offers.get(currency)
    standing = standing_of(row)
    old = bought.price if bought is not None else standing.price or Money.zero(currency)
    new = offer.price if offer is not None else None
    earliest = rules.not_before(now, old, new or old, notice_days)
    return Candidate(
        subscription_id=row.id,
        user_id=row.user_id,
        status=row.status,
        version=row.plan_version,
        old=old,
        new=new,
        skip=rules.obstacle(standing, bought, offer),
        not_before=earliest,
        expected_at=rules.expected_at(row.period_end, earliest),
        look_at=rules.first_look(row.period_end, earliest, now),
    )


def last_of(found: Sequence[Candidate]) -> str | None:
    """Where the next portion goes on; None after the last one."""
    return found[-1].subscription_id if len(found) == PORTION else None
