"""What others read of dunning cases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.dunning import rules
from quntedge.dunning.models import DunningAttempt, DunningCase
from quntedge.dunning.rules import State, Step
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt as it is shown. `actor` is whop, us or customer; `result` open, failed, paid or refused."""

    actor: str
    result: str
    decline_class: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CaseView:
    """An unpaid renewal as the customer sees it.

    `step` is what the customer should do; `next_try_at` when it is tried again by itself, by whomever; `ends_at` when
    the subscription ends if nothing more is tried (None while something is). `confirmable`: the bank waits for the
    customer's word. `trying`: an attempt is under way whose outcome is not known yet.
    """

    id: str
    transaction_id: str
    subscription_id: str
    whop_payment_id: str
    whop_membership_id: str
    amount: Money | None
    opened_at: datetime
    decline_class: str
    step: Step
    confirmable: bool
    trying: bool
    next_try_at: datetime | None
    access_until: datetime | None
    access_paused: bool
    ends_at: datetime | None
    attempts: tuple[AttemptView, ...] = ()


async def open_case(session: AsyncSession, user_id: str) -> CaseView | None:
    """The open case of a customer, with its attempts."""
    condition = (DunningCase.user_id == user_id, DunningCase.state == State.OPEN)
    found = await _views(session, select(DunningCase).where(*condition).order_by(DunningCase.opened_at.desc()).limit(1))
    return found[0] if found else None


async def case_of_payment(session: AsyncSession, transaction_id: str) -> CaseView | None:
    """The open case of a payment, without its attempts."""
    condition = (DunningCase.transaction_id == transaction_id, DunningCase.state == State.OPEN)
    found = await _views(session, select(DunningCase).where(*condition))
    return found[0] if found else None


async def unpaid_ends(session: AsyncSession, membership_ids: Collection[str]) -> set[str]:
    """Those of these memberships of the gateway that ended because their last renewal was not paid."""
    if not membership_ids:
        return set()
    rows = await session.execute(
        select(DunningCase.whop_membership_id, DunningCase.state)
        .where(DunningCase.whop_membership_id.in_(sorted(membership_ids)))
        .order_by(DunningCase.opened_at, DunningCase.id)
    )
    latest = {row.whop_membership_id: row.state for row in rows}
    return {membership_id for membership_id, state in latest.items() if state == State.EXHAUSTED}


_RECOVERED = select(DunningCase.transaction_id).where(
    among(DunningCase.transaction_id), DunningCase.state == State.RECOVERED
)


async def recovered(unit: UnitOfWork, transaction_ids: Collection[str]) -> set[str]:
    """Those of these payments that were paid after they had failed."""
    if not transaction_ids:
        return set()
    return {row.transaction_id for row in await unit.fetch(_RECOVERED, {"values": Texts(transaction_ids)})}


async def _views(session: AsyncSession, query: Any) -> list[CaseView]:
    cases: Sequence[DunningCase] = (await session.scalars(query)).all()
    if not cases:
        return []
    payments = {
        row.id: row.status
        for row in await session.execute(
            select(PaymentTransaction.id, PaymentTransaction.status).where(
                PaymentTransaction.id.in_([case.transaction_id for case in cases])
            )
        )
    }
    attempts = (
        await session.scalars(
            select(DunningAttempt)
            .where(DunningAttempt.case_id.in_([case.id for case in cases]))
            .order_by(DunningAttempt.started_at, DunningAttempt.id)
        )
    ).all()
    return [_view(case, payments[case.transaction_id], [a for a in attempts if a.case_id == case.id]) for case in cases]


def _view(case: DunningCase, payment_status: str, attempts: Sequence[DunningAttempt]) -> CaseView:
    next_try_at = rules.next_try(case.next_attempt_at, case.gateway_next_at, case.end_at)
    return CaseView(
        id=case.id,
        transaction_id=case.transaction_id,
        subscription_id=case.subscription_id,
        whop_payment_id=case.whop_payment_id,
        whop_membership_id=case.whop_membership_id,
        amount=None if case.amount_minor is None else Money(case.amount_minor, case.currency),
        opened_at=case.opened_at,
        decline_class=case.decline_class,
        step=rules.next_step(payment_status, case.decline_class, next_try_at),
        confirmable=payment_status == "requires_action",
        trying=any(attempt.result == "open" for attempt in attempts) and not is_paid(payment_status),
        next_try_at=next_try_at,
        access_until=case.grace_until,
        access_paused=case.access_paused_at is not None,
        ends_at=case.end_at,
        attempts=tuple(AttemptView(a.actor, a.result, a.decline_class, a.ended_at or a.started_at) for a in attempts),
    )
