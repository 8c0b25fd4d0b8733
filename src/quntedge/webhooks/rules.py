"""Decisions about stored deliveries. Pure."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from quntedge.gateway.port import (
    EventKind,
    GatewayEvent,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    RefundSnapshot,
)

MAX_ATTEMPTS = 8
LEASE = timedelta(minutes=2)
"""How long an event may be away to be read again from the gateway before somebody else takes it up."""

_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(hours=1)
_REFUND_KINDS = frozenset({EventKind.PAYMENT_REFUNDED, EventKind.PAYMENT_PARTIALLY_REFUNDED, EventKind.REFUND_UPDATED})


def retry_delay(attempts: int, jitter: random.Random) -> timedelta:
    """The wait after this many failed attempts: 2 s, 8 s, 32 s … at most an hour, ± 20 %.

    Eight attempts span about an hour and a half, so that an hour of trouble at the gateway leaves no dead letters.
    """
    delay = min(_FIRST_DELAY * 4.0 ** (attempts - 1), _LONGEST_DELAY)
    return delay * jitter.uniform(0.8, 1.2)


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
