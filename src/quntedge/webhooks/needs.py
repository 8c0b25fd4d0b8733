"""Which deliveries must not be believed by themselves, and what to read from the gateway instead. Pure."""

from dataclasses import dataclass, field

from quntedge.gateway.disputed import CaseSnapshot, DisputeAlertSnapshot, DisputeSnapshot, DisputeStatus
from quntedge.gateway.port import (
    Contested,
    EventKind,
    GatewayEvent,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    RefundSnapshot,
)
from quntedge.gateway.saved import SetupSnapshot

_REFUND_KINDS = frozenset({EventKind.PAYMENT_REFUNDED, EventKind.PAYMENT_PARTIALLY_REFUNDED, EventKind.REFUND_UPDATED})
# Rare, and each of them changes its payment as well, of which no event tells.
_DISPUTE_KINDS = frozenset({EventKind.DISPUTE_UPDATED, EventKind.DISPUTE_ALERTED})


@dataclass(frozen=True, slots=True)
class Needs:
    """The objects to be read from the gateway before an event can be applied."""

    memberships: frozenset[str] = field(default_factory=frozenset)
    payments: frozenset[str] = field(default_factory=frozenset)
    refunds: frozenset[str] = field(default_factory=frozenset)
    invoices: frozenset[str] = field(default_factory=frozenset)
    refunds_of: frozenset[str] = field(default_factory=frozenset)
    disputes: frozenset[str] = field(default_factory=frozenset)
    alerts: frozenset[str] = field(default_factory=frozenset)
    cases: frozenset[str] = field(default_factory=frozenset)


def must_reread(event: GatewayEvent) -> bool:
    """Whether the delivery alone must not be believed, whatever we hold already."""
    return not event.trusted or event.kind in _REFUND_KINDS | _DISPUTE_KINDS


def needs_of(event: GatewayEvent) -> Needs:
    """What to read for this event."""
    snapshot = event.snapshot
    if isinstance(snapshot, MembershipSnapshot):
        return Needs(memberships=frozenset({snapshot.membership_id}))
    if isinstance(snapshot, PaymentSnapshot):
        payments = frozenset({snapshot.payment_id})
        refunded = payments if event.kind in _REFUND_KINDS else frozenset()
        return Needs(_some(snapshot.membership_id), payments, refunds_of=refunded)
    if isinstance(snapshot, RefundSnapshot):
        return Needs(payments=_some(snapshot.payment_id), refunds=frozenset({snapshot.refund_id}))
    if isinstance(snapshot, SetupSnapshot):
        return Needs()
    if isinstance(snapshot, DisputeSnapshot | DisputeAlertSnapshot | CaseSnapshot):
        return _needs_of_contested(snapshot)
    return _needs_of_invoice(snapshot)


def _needs_of_invoice(snapshot: InvoiceSnapshot) -> Needs:
    return Needs(_some(snapshot.membership_id), _some(snapshot.payment_id), invoices=frozenset({snapshot.invoice_id}))


def _needs_of_contested(snapshot: Contested) -> Needs:
    payments = _some(snapshot.payment_id)
    match snapshot:
        case DisputeSnapshot():
            return Needs(payments=payments, disputes=frozenset({snapshot.dispute_id}))
        case DisputeAlertSnapshot():
            return Needs(payments=payments, alerts=frozenset({snapshot.alert_id}))
        case CaseSnapshot():
            return Needs(payments=payments, cases=frozenset({snapshot.case_id}))


def was_refunded(snapshot: Contested) -> bool:
    """Whether it says that the payment was given back because of it: the refunds are then read as well."""
    if isinstance(snapshot, DisputeSnapshot):
        return snapshot.status is DisputeStatus.PREVENTED
    return isinstance(snapshot, DisputeAlertSnapshot) and bool(snapshot.auto_refunded)


def _some(value: str | None) -> frozenset[str]:
    return frozenset({value}) if value is not None else frozenset()
