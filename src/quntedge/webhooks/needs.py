"""Which deliveries must not be believed by themselves, and what to read from the gateway instead. Pure."""

from dataclasses import dataclass, field

from quntedge.gateway.port import (
    EventKind,
    GatewayEvent,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    RefundSnapshot,
)

_REFUND_KINDS = frozenset({EventKind.PAYMENT_REFUNDED, EventKind.PAYMENT_PARTIALLY_REFUNDED, EventKind.REFUND_UPDATED})


@dataclass(frozen=True, slots=True)
class Needs:
    """The objects to be read from the gateway before an event can be applied."""

    memberships: frozenset[str] = field(default_factory=frozenset)
    payments: frozenset[str] = field(default_factory=frozenset)
    refunds: frozenset[str] = field(default_factory=frozenset)
    invoices: frozenset[str] = field(default_factory=frozenset)
    refunds_of: frozenset[str] = field(default_factory=frozenset)


def must_reread(event: GatewayEvent) -> bool:
    """Whether the delivery alone must not be believed, whatever we hold already."""
    return not event.trusted or event.kind in _REFUND_KINDS


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
    return _needs_of_invoice(snapshot)


def _needs_of_invoice(snapshot: InvoiceSnapshot) -> Needs:
    return Needs(_some(snapshot.membership_id), _some(snapshot.payment_id), invoices=frozenset({snapshot.invoice_id}))


def _some(value: str | None) -> frozenset[str]:
    return frozenset({value}) if value is not None else frozenset()
