"""What waits for a person: each thing that goes on by itself no further, with what to do about it.

Nothing is kept for this. A matter is what the tables say now; it leaves the list when what it is about is mended.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, null, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from quntedge.cancellations.models import Cancellation, Withdrawal
from quntedge.dunning.models import DunningCase
from quntedge.dunning.rules import State as CaseState
from quntedge.kit.metrics import NEEDS_ATTENTION
from quntedge.payments.models import PaymentTransaction
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.reviews import PAID_AGAIN, SETTLED
from quntedge.processes.models import Process
from quntedge.processes.steps import State
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.models import LIVE, Subscription, SubscriptionMembership
from quntedge.subscriptions.rules import TERMINAL_MEMBERSHIP

LIMIT = 200
"""At most so many of each kind are listed."""

USUALLY_DONE = timedelta(minutes=15)
"""How long after a withdrawal its end at the gateway is nobody's worry yet."""


class Kind(StrEnum):
    """What kind of thing waits."""

    WITHDRAWAL_NOT_ENDED = "withdrawal_not_ended"
    PAID_AFTER_THE_END = "paid_after_the_end"
    UNPAID_AND_UNCLEAR = "unpaid_and_unclear"
    PAID_TWICE = "paid_twice"
    CHANGE_UNFINISHED = "change_unfinished"
    STATUS_UNCLEAR = "status_unclear"
    PROCESS_STUCK = "process_stuck"


ADVICE: dict[Kind, str] = {
    Kind.WITHDRAWAL_NOT_ENDED: "Whop refuses to end a membership whose contract was withdrawn from, and would renew "
    "it. Cancel it in Whop's dashboard; it is asked again every day, at once with `quntedge processes retry`.",
    Kind.PAID_AFTER_THE_END: "A renewal was paid after its subscription had ended unpaid. Refund it with `quntedge "
    "refunds request`, or ask the customer whether they would rather buy again.",
    Kind.UNPAID_AND_UNCLEAR: "What Whop says of an unpaid renewal makes no sense, so nothing is charged or ended. Look "
    "at payment and membership in Whop's dashboard; they are read again every day.",
    Kind.PAID_TWICE: "A change of plan was paid for a second time. Cancel the extra membership in Whop's dashboard "
    "and refund its payment.",
    Kind.CHANGE_UNFINISHED: "A change of plan did not go through as it was shown: Whop charged another amount (given "
    "in minor units), left a payment open, or refused a refund or free days. Put it right with the customer and in "
    "Whop's dashboard, then `quntedge attention --done` with its id.",
    Kind.STATUS_UNCLEAR: "Whop calls the membership unresolved, by a word that we do not know, or it has changed "
    "hands. Access stays as it was. Look at it in Whop's dashboard.",
    Kind.PROCESS_STUCK: "Something was tried eight times and is now tried once a day. `quntedge processes show` says "
    "what and why; when the cause is mended, `quntedge processes retry`.",
}
"""What a person does about each kind."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that waits. `detail` is what is known of the cause, in words for staff without personal data."""

    kind: Kind
    subject_id: str
    user_id: str | None
    subscription_id: str | None
    since: datetime
    detail: str | None

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.kind]


async def matters(session: AsyncSession, now: datetime) -> list[Matter]:
    """Everything that waits for a person now, what waits longest first within its kind."""
    found: list[Matter] = []
    for kind, query in _queries(now).items():
        rows = (await session.execute(query.limit(LIMIT))).all()
        found += [Matter(kind, row.subject, row.user_id, row.subscription_id, row.since, row.detail) for row in rows]
    return found


async def update_gauges(units: UnitOfWorkFactory) -> None:
    """Counts what waits now, for the metrics."""
    async with units() as unit:
        for kind, query in _queries(unit.clock.now()).items():
            counted = select(func.count()).select_from(query.order_by(None).subquery())
            NEEDS_ATTENTION.labels(kind=kind.value).set(await unit.session.scalar(counted) or 0)


def _queries(now: datetime) -> dict[Kind, Select[Any]]:
    return {
        Kind.WITHDRAWAL_NOT_ENDED: _withdrawals(now),
        Kind.PAID_AFTER_THE_END: _late_money(),
        Kind.UNPAID_AND_UNCLEAR: _matter(
            DunningCase, DunningCase.opened_at, DunningCase.outcome, DunningCase.needs_review,
            DunningCase.state == CaseState.OPEN,
        ),
        Kind.PAID_TWICE: _paid_twice(),
        Kind.CHANGE_UNFINISHED: _unfinished(),
        Kind.STATUS_UNCLEAR: _unclear(),
        Kind.PROCESS_STUCK: _stuck(),
    }  # fmt: skip


def _matter(
    table: Any, since: Any, detail: Any, *conditions: ColumnElement[bool] | InstrumentedAttribute[bool]
) -> Select[Any]:
    """Rows of a table that names its user and its subscription."""
    return (
        select(
            table.id.label("subject"),
            table.user_id,
            table.subscription_id,
            since.label("since"),
            detail.label("detail"),
        )
        .where(*conditions)
        .order_by(since, table.id)
    )


def _withdrawals(now: datetime) -> Select[Any]:
    why = (
        select(func.coalesce(Process.error, Process.data["refusal"].astext))
        .join(Cancellation, Cancellation.process_id == Process.id)
        .where(Cancellation.id == Withdrawal.cancellation_id)
        .scalar_subquery()
    )
    goes_on = exists().where(Subscription.id == Withdrawal.subscription_id, Subscription.status.in_(LIVE))
    return _matter(Withdrawal, Withdrawal.received_at, why, goes_on, Withdrawal.received_at <= now - USUALLY_DONE)


def _late_money() -> Select[Any]:
    """Cleared by a refund in full, or by the customer's coming back."""
    kept = exists().where(
        PaymentTransaction.id == DunningCase.transaction_id,
        PaymentTransaction.status.in_(("paid", "partially_refunded")),
    )
    back = exists().where(Subscription.user_id == DunningCase.user_id, Subscription.status.in_(LIVE))
    ended = DunningCase.state.in_((CaseState.EXHAUSTED, CaseState.CANCELED))
    return _matter(
        DunningCase, DunningCase.closed_at, DunningCase.transaction_id, DunningCase.needs_review, ended, kept, ~back
    )


def _paid_twice() -> Select[Any]:
    extra = aliased(SubscriptionMembership)
    over = exists().where(
        extra.whop_membership_id == func.split_part(PlanChange.review, ":", 2), extra.status.in_(TERMINAL_MEMBERSHIP)
    )
    again = PlanChange.review.startswith(PAID_AGAIN, autoescape=True)
    return _matter(PlanChange, PlanChange.created_at, PlanChange.review, PlanChange.review.is_not(None), again, ~over)


def _unfinished() -> Select[Any]:
    """Cleared by whoever has seen to it."""
    other = [~PlanChange.review.startswith(begin, autoescape=True) for begin in (PAID_AGAIN, SETTLED)]
    return _matter(PlanChange, PlanChange.created_at, PlanChange.review, PlanChange.review.is_not(None), *other)


def _unclear() -> Select[Any]:
    word = (
        select(SubscriptionMembership.raw_status)
        .where(SubscriptionMembership.whop_membership_id == Subscription.whop_membership_id)
        .scalar_subquery()
    )
    return (
        select(
            Subscription.id.label("subject"),
            Subscription.user_id,
            Subscription.id.label("subscription_id"),
            Subscription.updated_at.label("since"),
            word.label("detail"),
        )
        .where(Subscription.needs_review)
        .order_by(Subscription.updated_at, Subscription.id)
    )


def _stuck() -> Select[Any]:
    about = func.concat(Process.kind, ", ", Process.step, ": ", Process.error).label("detail")
    columns: tuple[Any, ...] = (
        Process.id.label("subject"),
        Process.user_id,
        null().label("subscription_id"),
        Process.updated_at.label("since"),
        about,
    )
    return (
        select(*columns).where(Process.stuck, Process.state == State.RUNNING).order_by(Process.updated_at, Process.id)
    )
