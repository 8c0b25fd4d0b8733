"""The cases that one transaction touches: loaded and locked together, derived again, written together.

A case follows from its payment and its subscription as they are stored, never from the delivery that led here. So it
does not matter in which order, how late or how often deliveries arrive.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, or_, select

from quntedge.accounts.models import AppUser
from quntedge.catalog import queries as catalog
from quntedge.dunning import rules
from quntedge.dunning.events import DunningClosed, DunningOpened
from quntedge.dunning.models import DunningAttempt, DunningCase
from quntedge.dunning.rules import Actor, Closing, Facts, Held, Policy, State, Timetable
from quntedge.kit.dates import zone_of
from quntedge.kit.ids import new_id
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import decline_class, is_paid
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription

_PAYMENTS = select(
    PaymentTransaction.id,
    PaymentTransaction.user_id,
    PaymentTransaction.subscription_id,
    PaymentTransaction.whop_payment_id,
    PaymentTransaction.whop_membership_id,
    PaymentTransaction.status,
    PaymentTransaction.billing_reason,
    PaymentTransaction.total_minor,
    PaymentTransaction.currency,
    PaymentTransaction.attempts_failed,
    PaymentTransaction.decline_code,
    PaymentTransaction.next_attempt_at,
    PaymentTransaction.occurred_at,
    PaymentTransaction.gateway_updated_at,
)
_SUBSCRIPTIONS = select(
    Subscription.id,
    Subscription.plan_id,
    Subscription.status,
    Subscription.whop_membership_id,
    Subscription.grace_until,
    AppUser.time_zone,
).join(AppUser, AppUser.id == Subscription.user_id)


@dataclass(frozen=True, slots=True)
class Situation:
    """A case with everything that decides about it."""

    case: DunningCase
    held: Held
    facts: Facts
    policy: Policy
    timetable: Timetable
    """As it would be if nobody worked on the case."""


class Cases:
    """The cases of one unit of work."""

    def __init__(self, unit: UnitOfWork, default_zone: str) -> None:
        self._unit = unit
        self._session = unit.session
        self._now = unit.clock.now()
        self._default_zone = default_zone
        self._cases: dict[str, DunningCase] = {}
        self._payments: dict[str, Row[Any]] = {}
        self._subscriptions: dict[str, Row[Any]] = {}
        self._policies: Mapping[str, Policy] = {}
        self._open_attempts: dict[str, DunningAttempt] = {}

    async def load(
        self,
        payments: Collection[str] = (),
        subscriptions: Collection[str] = (),
        opening: Collection[str] = (),
    ) -> None:
        """Locks the cases of these payments, and the open ones of these subscriptions, in the order of their ids.

        `opening` are those of the payments that may get a case. One statement where there is nothing to do.
        """
        open_ones = and_(DunningCase.subscription_id.in_(sorted(subscriptions)), DunningCase.state == State.OPEN)
        await self._load(or_(DunningCase.whop_payment_id.in_(sorted(payments)), open_ones), opening)

    async def load_ids(self, case_ids: Collection[str]) -> None:
        """The same, by the cases' own ids."""
        await self._load(DunningCase.id.in_(sorted(case_ids)), ())

    async def _load(self, condition: Any, opening: Collection[str]) -> None:
        locking = select(DunningCase).where(condition).order_by(DunningCase.id).with_for_update()
        found = await self._session.scalars(locking.execution_options(populate_existing=True))
        self._cases |= {case.whop_payment_id: case for case in found}
        wanted = sorted({*opening, *self._cases})
        if not wanted:
            return
        payments_found = await self._rows(_PAYMENTS.where(PaymentTransaction.whop_payment_id.in_(wanted)))
        self._payments = {row.whop_payment_id: row for row in payments_found}
        ids = sorted({row.subscription_id for row in self._payments.values() if row.subscription_id is not None})
        self._subscriptions = {row.id: row for row in await self._rows(_SUBSCRIPTIONS.where(Subscription.id.in_(ids)))}
        plans = await catalog.plans_by_id(self._session, {row.plan_id for row in self._subscriptions.values()})
        self._policies = {plan.id: policy_of(plan) for plan in plans.values()}
        attempts = await self._session.scalars(
            select(DunningAttempt).where(
                DunningAttempt.case_id.in_(sorted(case.id for case in self._cases.values())),
                DunningAttempt.result == "open",
            )
        )
        self._open_attempts = {attempt.case_id: attempt for attempt in attempts}

    async def _rows(self, query: Any) -> list[Row[Any]]:
        return list(await (await self._unit.connection()).execute(query))

    async def open_new(self, payment_ids: Collection[str]) -> None:
        """Opens a case for each of these payments that is one to run after and has none. They must be loaded."""
        for payment_id in sorted(payment_ids):
            payment = self._payments.get(payment_id)
            if payment is None or payment_id in self._cases:
                continue
            if payment.subscription_id is None or not rules.opens(payment.status, payment.billing_reason):
                continue
            subscription = self._subscriptions[payment.subscription_id]
            end = rules.closing(_facts(payment, subscription), cancel_requested=False)
            if end is not None and end.state is not State.EXHAUSTED:
                continue
            since = await self._supersede(payment)
            if since is not None:
                await self._open(payment, subscription, since)

    async def _supersede(self, payment: Row[Any]) -> datetime | None:
        """Makes room for a newer payment's case; None when the open case is about the newer one.

        Answers since when the subscription is unpaid: where Whop goes on billing what it could not collect, each
        period's bill must not give the time to pay anew.
        """
        since = self._now
        for case in self._cases.values():
            if case.subscription_id != payment.subscription_id or case.state != State.OPEN:
                continue
            if self._payments[case.whop_payment_id].occurred_at > payment.occurred_at:
                return None
            since = min(since, case.opened_at)
            self._close(case, Closing(State.SUPERSEDED, "newer_payment"), None)
        # Before the insert: one open case for a subscription is a constraint.
        await self._session.flush()
        return since

    async def _open(self, payment: Row[Any], subscription: Row[Any], since: datetime) -> None:
        case = DunningCase(
            id=new_id("dun", self._now),
            user_id=payment.user_id,
            subscription_id=payment.subscription_id,
            plan_id=subscription.plan_id,
            transaction_id=payment.id,
            whop_payment_id=payment.whop_payment_id,
            whop_membership_id=payment.whop_membership_id or subscription.whop_membership_id,
            state=State.OPEN,
            amount_minor=payment.total_minor,
            currency=payment.currency,
            decline_class=decline_class(payment.decline_code),
            attempts_gateway=0,
            attempts_own=0,
            method_changes=0,
            retries_refused=False,
            cancel_requested=False,
            ending=False,
            needs_review=False,
            opened_at=since,
            last_failed_at=_failed_at(payment, self._now),
            updated_at=self._now,
        )
        self._session.add(case)
        await self._session.flush()
        self._cases[case.whop_payment_id] = case
        self._unit.record(
            DunningOpened(
                case.id, case.user_id, case.subscription_id, case.transaction_id, case.amount_minor, case.currency
            )
        )

    def refresh(self) -> None:
        """Derives every loaded case again from what is stored."""
        for case in self._cases.values():
            payment = self._payments[case.whop_payment_id]
            subscription = self._subscriptions[case.subscription_id]
            if case.state != State.OPEN:
                # Money for something that has ended by now: somebody has to give it back, or to bring it back.
                late = case.state in (State.EXHAUSTED, State.CANCELED) and is_paid(payment.status)
                case.needs_review = case.needs_review or late
                continue
            self._take_over(case, payment, subscription.grace_until)
            end = rules.closing(_facts(payment, subscription), cancel_requested=case.cancel_requested)
            if end is None:
                self.plan(case)
            else:
                self._close(case, end, self._author(case, end, payment))

    def _take_over(self, case: DunningCase, payment: Row[Any], grace_until: datetime | None) -> None:
        case.grace_until = grace_until or case.grace_until
        case.gateway_next_at = payment.next_attempt_at
        case.amount_minor = payment.total_minor
        for number in range(case.attempts_gateway + 1, payment.attempts_failed + 1):
            is_latest = number == payment.attempts_failed
            self._note_failure(
                case, number, payment.decline_code if is_latest else None, _failed_at(payment, self._now)
            )
        if payment.attempts_failed > case.attempts_gateway:
            case.attempts_gateway = payment.attempts_failed
            case.last_failed_at = max(case.last_failed_at, _failed_at(payment, self._now))
        case.decline_code = payment.decline_code or case.decline_code
        case.decline_class = decline_class(case.decline_code)
        case.updated_at = self._now

    def _note_failure(self, case: DunningCase, number: int, code: str | None, at: datetime) -> None:
        attempt = self._open_attempts.get(case.id)
        if attempt is not None and attempt.failed_before < number:
            del self._open_attempts[case.id]
        else:
            attempt = self._new_attempt(case, Actor.WHOP, number - 1, at)
        attempt.result, attempt.gateway_number, attempt.ended_at = "failed", number, at
        attempt.decline_code = code
        attempt.decline_class = decline_class(code) if code is not None else None

    def _new_attempt(self, case: DunningCase, actor: Actor, failed_before: int, at: datetime) -> DunningAttempt:
        attempt = DunningAttempt(
            id=new_id("dat", self._now),
            case_id=case.id,
            user_id=case.user_id,
            actor=actor,
            result="open",
            failed_before=failed_before,
            started_at=at,
        )
        self._session.add(attempt)
        return attempt

    def begin_attempt(self, case: DunningCase, actor: Actor) -> DunningAttempt:
        """Writes down that somebody is about to try."""
        attempt = self._new_attempt(case, actor, case.attempts_gateway, self._now)
        self._open_attempts[case.id] = attempt
        return attempt

    def refuse_attempt(self, case: DunningCase) -> None:
        """Writes down that the attempt under way did not take place."""
        attempt = self._open_attempts.pop(case.id, None)
        if attempt is not None:
            attempt.result, attempt.ended_at = "refused", self._now

    def _author(self, case: DunningCase, end: Closing, payment: Row[Any]) -> Actor | None:
        """Whose doing an end is."""
        if end.state is State.CANCELED:
            return Actor.CUSTOMER
        if end.state is State.EXHAUSTED:
            return Actor.US if case.ending else Actor.WHOP
        if end.state is State.SUPERSEDED:
            return None
        attempt = self._open_attempts.pop(case.id, None)
        if attempt is None:
            attempt = self._new_attempt(case, Actor.WHOP, case.attempts_gateway, _failed_at(payment, self._now))
        attempt.result, attempt.ended_at = "paid", self._now
        return Actor(attempt.actor)

    def _close(self, case: DunningCase, end: Closing, author: Actor | None) -> None:
        self.refuse_attempt(case)
        case.state, case.outcome, case.closed_by = end.state, end.outcome, author
        case.closed_at = case.updated_at = self._now
        case.process_id = None
        _set_times(case, Timetable())
        self._unit.record(
            DunningClosed(
                case.id,
                case.user_id,
                case.subscription_id,
                case.transaction_id,
                end.state.value,
                end.outcome,
                author.value if author else None,
                case.opened_at,
                case.amount_minor,
                case.currency,
            )
        )

    def plan(self, case: DunningCase) -> None:
        """Sets the times at which something is due."""
        found = self.situation(case).timetable
        if case.process_id is not None:
            found = Timetable(remind_at=found.remind_at, pause_access_at=found.pause_access_at)
        _set_times(case, found)

    def situation(self, case: DunningCase) -> Situation:
        """The case with all that decides about it."""
        subscription = self._subscriptions[case.subscription_id]
        facts = _facts(self._payments[case.whop_payment_id], subscription)
        policy = self._policies.get(subscription.plan_id, Policy())
        attempt = self._open_attempts.get(case.id)
        held = _held(case, attempt.started_at if attempt is not None else None)
        zone = zone_of(subscription.time_zone, self._default_zone)
        return Situation(case, held, facts, policy, rules.timetable(held, facts, policy, zone, self._now))

    def open_cases(self) -> list[DunningCase]:
        """Those loaded that are open, in the order of their ids."""
        return sorted((case for case in self._cases.values() if case.state == State.OPEN), key=lambda case: case.id)


def policy_of(plan: catalog.PlanView) -> Policy:
    """The retry rules of a plan."""
    dunning = plan.rules.dunning
    return Policy(dunning.max_attempts, dunning.backoff_days, dunning.window)


def _facts(payment: Row[Any], subscription: Row[Any]) -> Facts:
    return Facts(
        payment_status=payment.status,
        paid=is_paid(payment.status),
        gateway_next_at=payment.next_attempt_at,
        membership_id=payment.whop_membership_id or subscription.whop_membership_id,
        subscription_status=subscription.status,
        subscription_membership_id=subscription.whop_membership_id,
        grace_until=subscription.grace_until,
    )


def _held(case: DunningCase, trying_since: datetime | None) -> Held:
    return Held(
        case_id=case.id,
        decline_class=case.decline_class,
        attempts_own=case.attempts_own,
        method_changes=case.method_changes,
        retries_refused=case.retries_refused,
        cancel_requested=case.cancel_requested,
        opened_at=case.opened_at,
        last_failed_at=case.last_failed_at,
        trying_since=trying_since,
        looked_at=case.looked_at,
        needs_review=case.needs_review,
        reminded=case.reminded_at is not None,
        access_paused=case.access_paused_at is not None,
    )


def _failed_at(payment: Row[Any], now: datetime) -> datetime:
    """When the payment was last tried, by Whop's clock, which may be ahead of ours."""
    return min(payment.gateway_updated_at or now, now)


def _set_times(case: DunningCase, found: Timetable) -> None:
    case.next_attempt_at, case.look_at, case.end_at = found.next_attempt_at, found.look_at, found.end_at
    case.remind_at, case.pause_access_at = found.remind_at, found.pause_access_at
    case.next_due_at = found.first
