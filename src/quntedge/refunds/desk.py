"""RefundDesk: giving money back at the wish of staff, with a second person above a limit.

A refund is written down before anything is sent, and from that moment on it holds its amount: two requests, however
close together, never promise more than was paid. What the application checks under the payment's lock, the database
checks again by itself (`refund_hold`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from quntedge.audit.rules import Detail
from quntedge.audit.writing import audit_done
from quntedge.kit.errors import Conflict, Forbidden, QuntedgeError
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.refunds import history, queries, rules
from quntedge.refunds.errors import ApprovalByRequester, RefundNotWaiting
from quntedge.refunds.models import Refund
from quntedge.refunds.owed import OwedRefunds
from quntedge.refunds.rules import RefundReason
from quntedge.refunds.steps import KIND
from quntedge.storage.sealed import Sealed
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault

PREFIX = "ref"
WITHIN_PAYMENT = "refund_within_payment"
"""Name under which the database refuses what is more than is left of a payment."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants: `amount` of a payment back, or all that is left of it. `actor` is who wants it."""

    transaction_id: str
    amount: Money | None
    reason: RefundReason
    note: str | None
    actor: str


class RefundDesk:
    """Opens and commits its own units of work: it calls the gateway.

    Whoever acts is a text such as `service:key_…` or `staff:kim`. What is denied to them is written down as well.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        payments: PaymentService,
        vault: Vault,
        owed: OwedRefunds,
        limits: Mapping[str, Money],
    ) -> None:
        """`limits` are the amounts, by currency, above which a second person has to agree."""
        self._units = units
        self._processes = processes
        self._payments = payments
        self._vault = vault
        self._owed = owed
        self._limits = limits

    def new_refund_id(self) -> str:
        """An id for a refund that is about to be asked for: the key under which repeating it is harmless."""
        return new_id(PREFIX, self._units.clock.now())

    async def request(
        self,
        transaction_id: str,
        *,
        key: str,
        actor: str,
        amount: Money | None = None,
        reason: str = RefundReason.REQUESTED,
        note: str | None = None,
    ) -> Refund:
        """Asks for a refund, and sends it unless a second person has to agree.

        What is answered is not the end, which the gateway tells later; `unknown` means that it has not even told
        whether it was done, and is being asked.

        `key` is an id from `new_refund_id`; the same key goes on with the same refund. A note is kept for as long as
        the customer's data are. Raises `PaymentNotFound`, `InvalidRefund`, `PaymentNotRefundable`, `PaymentDisputed`,
        `RefundCurrencyMismatch`, `NothingLeftToRefund`, `AboveWhatIsLeft`.
        """
        wish = Wish(transaction_id, amount, rules.reason_for_staff(reason), rules.note_text(note), actor)
        async with self._units() as unit:
            held = await unit.session.get(Refund, key)
            if held is None:
                held = await self._write(unit, wish, key)
        return await self._carry_out(held)

    async def approve(self, refund_id: str, *, actor: str, note: str | None = None) -> Refund:
        """Agrees to a refund that waits for it, and sends it.

        Raises `RefundNotFound`, `InvalidRefund`, `RefundNotWaiting`, `ApprovalByRequester`, `PaymentNotRefundable`,
        `PaymentDisputed`, `NothingLeftToRefund`, `AboveWhatIsLeft`.
        """
        kept = rules.note_text(note)
        async with self._units() as unit:
            row, payment = await self._waiting(unit, refund_id, actor)
            if row.requested_by == actor:
                error = ApprovalByRequester(
                    "You asked for this refund yourself. Have somebody else approve it, or reject it."
                )
                raise await self._denied(unit, error, row, actor)
            try:
                standing = await queries.standing(unit.session, payment)
                rules.check_refundable(standing)
                if row.refund_request_id is None:
                    # What is owed goes to the gateway all the same: its refusal makes a new one over what is left.
                    rules.check_still_left(standing, Money(row.amount_minor, row.currency))
            except Conflict as error:
                raise await self._denied(unit, error, row, actor) from None
            row.status, row.approved_by, row.approved_at = "approved", actor, unit.clock.now()
            row.decision_note = await self._sealed(unit, row, "decision_note", kept)
            history.moved(unit, row, "requested", actor=actor, cause="approved")
            audit_done(unit, "refund.approve", "refund", row.id, **_facts(row))
            await self._begin(unit, row, payment)
            await self._owed.settle(unit, [row.transaction_id])
            await unit.commit()
        return await self._carry_out(row)

    async def reject(self, refund_id: str, *, actor: str, note: str | None = None) -> Refund:
        """Turns a refund down that waits for a decision; whoever asked for it may do so, too. Nothing is given back.

        Raises `RefundNotFound`, `InvalidRefund`, `RefundNotWaiting`.
        """
        kept = rules.note_text(note)
        async with self._units() as unit:
            row, _ = await self._waiting(unit, refund_id, actor)
            row.status, row.rejected_by, row.rejected_at = "rejected", actor, unit.clock.now()
            row.updated_at = unit.clock.now()
            row.decision_note = await self._sealed(unit, row, "decision_note", kept)
            history.moved(unit, row, "requested", actor=actor, cause="rejected")
            audit_done(unit, "refund.reject", "refund", row.id, **_facts(row))
            await self._owed.refuse(unit, row)
            await unit.commit()
        return row

    async def notes(self, unit: UnitOfWork, row: Refund) -> tuple[str | None, str | None]:
        """The note of whoever asked, and of whoever decided; None where there is none, or the customer was erased."""
        cipher = (await self._vault.ciphers(unit.session, [row.user_id])).get(row.user_id)
        if cipher is None:
            return None, None
        return (
            cipher.open("refund", "note", row.id, row.note) if row.note is not None else None,
            cipher.open("refund", "decision_note", row.id, row.decision_note)
            if row.decision_note is not None
            else None,
        )

    async def _write(self, unit: UnitOfWork, wish: Wish, key: str) -> Refund:
        payment = await queries.payment(unit.session, wish.transaction_id)
        await self._payments.lock(unit, [payment.id])
        payment = await queries.payment(unit.session, payment.id)
        standing = await queries.standing(unit.session, payment)
        amount = wish.amount
        try:
            amount = rules.amount_of(standing, wish.amount)
            row = await self._insert(unit, wish, payment, amount, key)
            await unit.commit()
        except (Conflict, Forbidden) as error:
            raise await self._denied_payment(unit, error, payment, wish, amount) from None
        except IntegrityError as error:
            if _constraint(error) != WITHIN_PAYMENT:
                raise
            await unit.rollback()
            payment = await queries.payment(unit.session, wish.transaction_id)
            left = (await queries.standing(unit.session, payment)).left
            raise await self._denied_payment(unit, rules.above(left), payment, wish, amount) from None
        return row

    async def _insert(
        self, unit: UnitOfWork, wish: Wish, payment: PaymentTransaction, amount: Money, key: str
    ) -> Refund:
        now = unit.clock.now()
        earlier = await queries.unapproved(unit.session, payment)
        waits = rules.needs_approval(amount, earlier, self._limits)
        row = Refund(
            id=key,
            user_id=payment.user_id,
            transaction_id=payment.id,
            status="requested",
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            reason=wish.reason,
            requested_by=wish.actor,
            requested_at=now,
            approval_required=waits,
            occurred_at=now,
            created_at=now,
            updated_at=now,
        )
        row.note = await self._sealed(unit, row, "note", wish.note)
        if not waits:
            row.status, row.approved_at = "approved", now
        unit.session.add(row)
        await unit.session.flush()
        history.moved(unit, row, None, actor=wish.actor, cause="requested")
        audit_done(unit, "refund.request", "refund", row.id, waits=waits, **_facts(row))
        if not waits:
            await self._begin(unit, row, payment)
        return row

    async def _begin(self, unit: UnitOfWork, row: Refund, payment: PaymentTransaction) -> None:
        row.updated_at = unit.clock.now()
        data = {"payment_id": payment.whop_payment_id}
        row.process_id = await self._processes.start(unit, KIND, row.id, user_id=row.user_id, data=data)

    async def _carry_out(self, row: Refund) -> Refund:
        if row.process_id is not None:
            await self._processes.run(row.process_id)
        async with self._units() as unit:
            return await queries.one(unit.session, row.id)

    async def _waiting(self, unit: UnitOfWork, refund_id: str, actor: str) -> tuple[Refund, PaymentTransaction]:
        """A refund that waits for a decision, with its payment; both are locked."""
        found = await queries.one(unit.session, refund_id)
        await self._payments.lock(unit, [found.transaction_id])
        row = await queries.one(unit.session, refund_id, lock=True)
        if row.status != "requested":
            error = RefundNotWaiting(
                f"It is {row.status.replace('_', ' ')} already; only a refund that waits can be decided about.",
                extra={"refund_status": row.status},
            )
            raise await self._denied(unit, error, row, actor)
        return row, await queries.payment(unit.session, row.transaction_id)

    async def _sealed(self, unit: UnitOfWork, row: Refund, column: str, text: str | None) -> Sealed | None:
        """A note under the customer's key. Of somebody who was erased nothing new is kept."""
        if text is None:
            return None
        cipher = (await self._vault.ciphers(unit.session, [row.user_id])).get(row.user_id)
        return None if cipher is None else cipher.seal("refund", column, row.id, text)

    async def _denied(self, unit: UnitOfWork, error: QuntedgeError, row: Refund, actor: str) -> QuntedgeError:
        """Writes down what was denied, and nothing else; the error to raise."""
        transaction_id, user_id, refund_id = row.transaction_id, row.user_id, row.id
        await unit.rollback()
        history.denied(
            unit, error.code, transaction_id=transaction_id, user_id=user_id, actor=actor, refund_id=refund_id
        )
        await unit.commit()
        return error

    @staticmethod
    async def _denied_payment(
        unit: UnitOfWork, error: QuntedgeError, payment: PaymentTransaction, wish: Wish, amount: Money | None
    ) -> QuntedgeError:
        transaction_id, user_id = payment.id, payment.user_id
        await unit.rollback()
        history.denied(
            unit, error.code, transaction_id=transaction_id, user_id=user_id, actor=wish.actor, amount=amount
        )
        await unit.commit()
        return error


def _facts(row: Refund) -> dict[str, Detail]:
    """What the audit log says of a refund: no notes, which are about a person."""
    return {"payment": row.transaction_id, "amount_minor": row.amount_minor, "currency": row.currency}


def _constraint(error: IntegrityError) -> str | None:
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
