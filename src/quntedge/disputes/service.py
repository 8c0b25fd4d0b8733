"""DisputeService: keeps disputes in step with Whop, sums them up per payment, and notices what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from quntedge.disputes import rules
from quntedge.disputes.alarms import Alarm, raise_alarms
from quntedge.disputes.events import DisputeDeadlineNear, DisputeMoved
from quntedge.disputes.models import Dispute
from quntedge.disputes.records import set_state, state_of_row, state_of_snapshot
from quntedge.disputes.rules import DisputeState, Verdict
from quntedge.gateway.disputed import DisputeSnapshot
from quntedge.kit.ids import new_id
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import DisputeTotal, PaymentService
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription

PREFIX = "dsp"
_REMINDED_AT_ONCE = 100

_SUBSCRIPTIONS = select(Subscription.id).where(among(Subscription.id)).order_by(Subscription.id).with_for_update()


@dataclass(frozen=True, slots=True)
class ObservedDispute:
    """A dispute as somebody told us about it. `from_gateway`: we read it ourselves just now."""

    snapshot: DisputeSnapshot
    cause: str
    from_gateway: bool = False


@dataclass(frozen=True, slots=True)
class DisputedPayment:
    """The payment a dispute belongs to, as we hold it."""

    transaction_id: str
    user_id: str
    subscription_id: str | None


class DisputeService:
    """Keeps `dispute` in step with Whop. What a dispute does to a subscription is no business of this one."""

    def __init__(self, payments: PaymentService) -> None:
        self._payments = payments

    async def apply(
        self, unit: UnitOfWork, observed: Sequence[ObservedDispute], payments: Mapping[str, DisputedPayment]
    ) -> list[Verdict]:
        """Stores disputes (by Whop's id) in the order given, brings their payments' totals up to date, and answers what
        became of each.

        `payments` maps Whop's payment ids; the caller has made sure that every one is there.
        """
        if not observed:
            return []
        belongings = [payments[item.snapshot.payment_id or ""] for item in observed]
        # Everybody locks subscription, then payment, then dispute.
        subscriptions = {payment.subscription_id for payment in belongings if payment.subscription_id}
        connection = await unit.connection()
        await connection.execute(_SUBSCRIPTIONS, {"values": sorted(subscriptions)})
        await self._payments.lock(unit, [payment.transaction_id for payment in belongings])
        rows = await unit.session.scalars(
            select(Dispute)
            .where(Dispute.whop_dispute_id.in_({item.snapshot.dispute_id for item in observed}))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        held = {row.whop_dispute_id: row for row in rows}
        verdicts = [
            self._apply_one(unit, held, item, payment) for item, payment in zip(observed, belongings, strict=True)
        ]
        await unit.session.flush()
        changed = {
            payment.transaction_id: item.cause
            for item, payment, verdict in zip(observed, belongings, verdicts, strict=True)
            if verdict is Verdict.APPLY
        }
        if changed:
            await self._payments.apply_dispute_totals(unit, await _totals(unit, changed))
            await _notice_double_losses(unit, sorted(changed))
        await raise_alarms(unit, [_unknown(row) for row in held.values() if row.status == rules.UNKNOWN])
        return verdicts

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """A refund may come after the dispute was lost. Plain renewals have neither, and cost nothing here."""
        both = {fact.transaction_id for fact in facts if fact.refunded_minor > 0 and fact.disputed_minor > 0}
        if both:
            await _notice_double_losses(unit, sorted(both))

    async def remind(self, unit: UnitOfWork, now: datetime) -> int:
        """Tells of each dispute whose deadline is near: an alarm, and a fact that a mail to staff follows from.

        How many there were.
        """
        due = await unit.session.scalars(
            select(Dispute)
            .where(Dispute.remind_at <= now)
            .order_by(Dispute.remind_at)
            .limit(_REMINDED_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = due.all()
        alarms = []
        for row in rows:
            deadline = row.evidence_due_at
            row.reminded_for, row.reminded_until = deadline, now
            row.remind_at = rules.remind_at(state_of_row(row), deadline, now)
            if deadline is None:
                continue
            told = rules.reminder(deadline, row.created_at, now)
            if told.alarm:
                alarms.append(_deadline(row))
            if told.days_left is not None:
                unit.record(DisputeDeadlineNear(row.id, row.whop_dispute_id, deadline, told.days_left))
        await raise_alarms(unit, alarms)
        return len(rows)

    @staticmethod
    def _apply_one(
        unit: UnitOfWork, held: dict[str, Dispute], item: ObservedDispute, payment: DisputedPayment
    ) -> Verdict:
        row = held.get(item.snapshot.dispute_id)
        before = state_of_row(row) if row is not None else None
        after = state_of_snapshot(item.snapshot, before)
        verdict = rules.judge(before, after, from_gateway=item.from_gateway)
        if verdict is not Verdict.APPLY:
            return verdict
        now = unit.clock.now()
        if row is None:
            row = _new_row(item.snapshot, payment, now)
            held[row.whop_dispute_id] = row
            unit.session.add(row)
        set_state(row, after)
        row.subscription_id = row.subscription_id or payment.subscription_id
        row.closed_at = None if rules.is_open(after.status) else row.closed_at or after.gateway_updated_at or now
        row.remind_at = rules.remind_at(after, row.reminded_for, row.reminded_until)
        row.look_at = rules.look_at(after, row.opened_at, now)
        row.updated_at = now
        if before is None or _moved(before, after):
            unit.record(_fact(row, before, item.cause, now))
        return verdict


async def _totals(unit: UnitOfWork, causes: Mapping[str, str]) -> list[DisputeTotal]:
    """What is held back of each payment. An amount in another currency cannot be counted against it; it stays visible
    as a record."""
    found = await unit.session.execute(
        select(
            Dispute.transaction_id,
            Dispute.status,
            Dispute.opened_at,
            Dispute.withdrawn_minor,
            Dispute.currency,
            PaymentTransaction.currency.label("payment_currency"),
        )
        .join(PaymentTransaction, PaymentTransaction.id == Dispute.transaction_id)
        .where(Dispute.transaction_id.in_(sorted(causes)))
        .order_by(Dispute.transaction_id, Dispute.opened_at, Dispute.id)
    )
    rows = found.all()
    totals = []
    for transaction_id, cause in sorted(causes.items()):
        own = [row for row in rows if row.transaction_id == transaction_id]
        counted = sum(row.withdrawn_minor for row in own if row.currency == row.payment_currency)
        status = rules.payment_dispute([(row.status, row.opened_at) for row in own])
        totals.append(DisputeTotal(transaction_id, counted, status, cause))
    return totals


async def _notice_double_losses(unit: UnitOfWork, transaction_ids: Sequence[str]) -> None:
    """Raises an alarm for each of these payments that was both given back and lost to the bank."""
    await unit.session.flush()
    lost = func.sum(Dispute.withdrawn_minor)
    payment = PaymentTransaction
    found = await unit.session.execute(
        select(payment.id, payment.user_id, payment.currency, payment.total_minor, payment.refunded_minor, lost)
        .join(Dispute, Dispute.transaction_id == payment.id)
        .where(payment.id.in_(transaction_ids), payment.refunded_minor > 0, _counts_as_lost())
        .group_by(payment.id)
    )
    alarms = []
    for transaction_id, user_id, currency, total, refunded, lost_minor in found:
        twice = rules.paid_out_twice(total or 0, refunded, int(lost_minor))
        if twice:
            detail = "This payment was given back and lost to the buyer's bank as well: see which of them Whop debited."
            alarms.append(
                Alarm("double_loss", transaction_id, transaction_id, detail, user_id, transaction_id, twice, currency)
            )
    await raise_alarms(unit, alarms)


def _counts_as_lost() -> ColumnElement[bool]:
    return Dispute.status.in_(rules.LOST) & (Dispute.currency == PaymentTransaction.currency)


def _new_row(snapshot: DisputeSnapshot, payment: DisputedPayment, now: datetime) -> Dispute:
    return Dispute(
        id=new_id(PREFIX, now),
        user_id=payment.user_id,
        transaction_id=payment.transaction_id,
        subscription_id=payment.subscription_id,
        whop_dispute_id=snapshot.dispute_id,
        opened_at=snapshot.created_at or now,
        created_at=now,
    )


def _moved(before: DisputeState, after: DisputeState) -> bool:
    names = ("status", "amount_minor", "withdrawn_minor", "fee_minor", "fee_currency", "inquiry")
    return any(getattr(before, name) != getattr(after, name) for name in names)


def _fact(row: Dispute, before: DisputeState | None, cause: str, now: datetime) -> DisputeMoved:
    ended = before is None or before.status != row.status
    return DisputeMoved(
        dispute_id=row.id,
        transaction_id=row.transaction_id,
        user_id=row.user_id,
        subscription_id=row.subscription_id,
        whop_dispute_id=row.whop_dispute_id,
        currency=row.currency,
        amount_minor=row.amount_minor,
        withdrawn_minor=row.withdrawn_minor,
        before_withdrawn_minor=before.withdrawn_minor if before else 0,
        fee_minor=row.fee_minor,
        fee_currency=row.fee_currency,
        before_fee_minor=before.fee_minor if before else 0,
        before_fee_currency=before.fee_currency if before else None,
        inquiry=row.inquiry,
        before_status=before.status if before else None,
        status=row.status,
        opened=before is None,
        lost=ended and rules.is_lost(row.status) and not rules.is_lost(before.status if before else None),
        won=ended and row.status == rules.WON,
        evidence_due_at=row.evidence_due_at,
        occurred_at=row.gateway_updated_at or now,
        cause=cause,
    )


def _unknown(row: Dispute) -> Alarm:
    detail = f"Whop calls the status of this dispute {row.raw_status!r}, which this release does not know."
    key = f"{row.id}:{row.raw_status}"
    return Alarm("unknown_status", key, row.id, detail, row.user_id, row.transaction_id)


def _deadline(row: Dispute) -> Alarm:
    due = row.evidence_due_at
    detail = f"Evidence is due until {due:%Y-%m-%d %H:%M} UTC and has not been sent." if due else "Evidence is due."
    key = f"{row.id}:{due:%Y%m%dT%H%M%S}" if due else row.id
    return Alarm("deadline", key, row.id, detail, row.user_id, row.transaction_id, row.amount_minor, row.currency)
