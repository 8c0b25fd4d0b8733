"""Chargebacks and inquiries: opened by the buyer's bank, answered with evidence, ruled upon by the bank."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from quntedge.gateway.emulator.core.agenda import Kind
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import refunding
from quntedge.gateway.emulator.state.money_records import Dispute, DisputeAlert
from quntedge.gateway.emulator.state.records import Payment
from quntedge.gateway.emulator.wire.errors import bad_request, conflict
from quntedge.kit.money import Money

RESPONSE_WINDOW = timedelta(days=7)
REASONS = (
    "fraudulent",
    "unrecognized",
    "declined_authorization",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "credit_not_processed",
    "duplicate",
    "processing_error",
    "documentation_request",
    "bank_cannot_process",
    "other",
)
RULINGS = ("won", "lost", "prevented", "warning_closed", "under_review", "warning_under_review", "needs_response")
ALERT_TYPES = ("early_fraud_warning", "dispute_alert", "rapid_dispute_resolution")
_SUBSTATUS = {"prevented": "dispute_closed"}
_REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "subscription_canceled": "13.2"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a buyer tells the bank. Without an amount it is about everything that was not refunded."""

    amount: Money | None = None
    reason: str = "fraudulent"
    inquiry: bool = False
    response_window: timedelta = RESPONSE_WINDOW


def open_dispute(world: World, payment: Payment, complaint: Complaint, at: datetime) -> Dispute:
    """Opens a dispute; the payment cannot be refunded until it is won.

    Raises:
        ApiFault: 409 unless the payment is paid and not disputed; 400 for an amount that it does not have.
    """
    if payment.status != "paid" or world.buyers.disputed(payment):
        raise conflict("Only a paid payment that is not disputed can be disputed.")
    left = payment.total - payment.refunded
    amount = left if complaint.amount is None else complaint.amount
    if not Money.zero(amount.currency) < amount <= left:
        raise bad_request(f"The amount must be more than zero and at most {left.to_major_text()}.")
    due_at = at + complaint.response_window
    dispute = Dispute(
        id=world.store.new_id("dspt"),
        created_at=at,
        updated_at=at,
        payment_id=payment.id,
        amount=amount,
        reason=complaint.reason,
        reason_code=_REASON_CODES.get(complaint.reason),
        status="warning_needs_response" if complaint.inquiry else "needs_response",
        inquiry=complaint.inquiry,
        evidence_due_at=due_at,
        due_at=due_at,
        withdrawn_at=None if complaint.inquiry else at,
    )
    world.store.add(world.store.tables.disputes, dispute)
    world.agenda.enter(due_at, Kind.DISPUTE, dispute.id)
    payment.dispute_ids = (*payment.dispute_ids, dispute.id)
    _mark(world, dispute, at)
    world.announcer.emit("dispute.created", dispute, at)
    return dispute


def _mark(world: World, dispute: Dispute, at: datetime) -> None:
    """Shows the dispute's state on its payment."""
    payment = world.store.tables.payments[dispute.payment_id]
    payment.substatus = _SUBSTATUS.get(dispute.status, f"dispute_{dispute.status}")
    world.store.touch(payment, at)


def _move(world: World, dispute: Dispute, status: str, at: datetime) -> None:
    dispute.status = status
    if status not in ("needs_response", "warning_needs_response"):
        dispute.due_at = None
    world.store.touch(dispute, at)
    _mark(world, dispute, at)
    world.announcer.emit("dispute.updated", dispute, at)


def _need_editable(dispute: Dispute) -> None:
    if not dispute.editable:
        raise conflict(f"The evidence of this dispute is locked: {dispute.locked_reason}.")


def change_evidence(
    world: World,
    dispute: Dispute,
    at: datetime,
    evidence: dict[str, Any],
    documents: list[dict[str, Any]] | None = None,
) -> None:
    """Changes the given parts of the evidence; `documents` replaces all of them.

    Raises:
        ApiFault: 409 once the evidence was sent or the time for it is over.
    """
    _need_editable(dispute)
    dispute.evidence.update(evidence)
    if documents is not None:
        dispute.documents = documents
    world.store.touch(dispute, at)
    world.announcer.emit("dispute.updated", dispute, at)


def submit(world: World, dispute: Dispute, at: datetime) -> None:
    """Sends the evidence: final, the bank looks at it now.

    Raises:
        ApiFault: 409 once it was sent or the time for it is over, 400 when there is none.
    """
    _need_editable(dispute)
    if not dispute.documents and not any(dispute.evidence.values()):
        raise bad_request("There is no evidence to submit.")
    dispute.evidence_submitted_at = at
    _move(world, dispute, "warning_under_review" if dispute.inquiry else "under_review", at)


def accept(world: World, dispute: Dispute, at: datetime) -> None:
    """Concedes a chargeback: lost, for good.

    Raises:
        ApiFault: 409 for inquiries, and once evidence was sent or the dispute has ended.
    """
    if not dispute.acceptable:
        raise conflict("This dispute cannot be accepted.")
    _move(world, dispute, "lost", at)


def close_window(world: World, dispute: Dispute, at: datetime) -> None:
    """The time for evidence is over: the bank decides without it."""
    _move(world, dispute, "warning_under_review" if dispute.inquiry else "under_review", at)


def rule(world: World, dispute: Dispute, status: str, at: datetime) -> None:
    """What the bank does next. A lost dispute makes no refund; an inquiry that turns into a chargeback starts anew.

    Raises:
        ApiFault: 409 when the dispute has ended, or the status is not one of its kind.
    """
    if not dispute.is_open:
        raise conflict(f"This dispute is {dispute.status} already.")
    if status == "needs_response":
        _escalate(world, dispute, at)
        return
    if status.startswith("warning_") is not dispute.inquiry:
        raise conflict("Inquiries are closed with warning_closed, chargebacks are won, lost or prevented.")
    if status == "won":
        dispute.returned_at = at
    _move(world, dispute, status, at)


def _escalate(world: World, dispute: Dispute, at: datetime) -> None:
    if not dispute.inquiry:
        raise conflict("Only an inquiry can become a chargeback.")
    dispute.inquiry, dispute.evidence_submitted_at = False, None
    dispute.withdrawn_at = at
    dispute.evidence_due_at = dispute.due_at = at + RESPONSE_WINDOW
    world.agenda.enter(dispute.due_at, Kind.DISPUTE, dispute.id)
    _move(world, dispute, "needs_response", at)


def raise_alert(
    world: World, payment: Payment, kind: str, at: datetime, *, auto_refund: bool, fee_charged: bool
) -> DisputeAlert:
    """Warns of a dispute to come. With `auto_refund` what is left is given back, so that it never comes.

    Raises:
        ApiFault: 409 unless the payment is paid; with `auto_refund` also when nothing can be refunded.
    """
    if payment.status != "paid":
        raise conflict("Only a paid payment can be alerted.")
    left = refunding.refundable_amount(world, payment)
    if auto_refund and (not left or world.buyers.disputed(payment)):
        raise conflict("Nothing of this payment can be refunded.")
    alert = DisputeAlert(
        id=world.store.new_id("dspa"),
        created_at=at,
        updated_at=at,
        payment_id=payment.id,
        amount=payment.total,
        type=kind,
        reported_at=at,
        auto_refunded=auto_refund,
        fee_charged=fee_charged,
    )
    world.store.add(world.store.tables.dispute_alerts, alert)
    payment.dispute_alerted_at = at
    world.store.touch(payment, at)
    world.announcer.emit("dispute_alert.created", alert, at)
    if auto_refund:
        rdr = kind == "rapid_dispute_resolution"
        refunding.start(world, payment, left, at, reason="dispute_alert", visa_rdr=rdr)
    return alert
