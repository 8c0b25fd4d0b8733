"""The one map from Whop's statuses to ours.

A status that is not listed becomes `UNKNOWN`, never a guess: a word we have not seen must not take anybody's access
away. The raw text is kept in the snapshots. `canceling` and `paused` are only list filters of Whop, not statuses; the
former is nevertheless mapped, because it can mean nothing but "active, with the cancel flag set".
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from quntedge.gateway.port import InvoiceStatus, MembershipStatus, PaymentStatus, RefundStatus

CANCELING: Final = "canceling"

MEMBERSHIP_STATUSES: Final[Mapping[str, MembershipStatus]] = MappingProxyType(
    {
        "drafted": MembershipStatus.DRAFTED,
        "trialing": MembershipStatus.TRIALING,
        "active": MembershipStatus.ACTIVE,
        CANCELING: MembershipStatus.ACTIVE,
        "past_due": MembershipStatus.PAST_DUE,
        "completed": MembershipStatus.COMPLETED,
        "canceled": MembershipStatus.CANCELED,
        "expired": MembershipStatus.EXPIRED,
        "unresolved": MembershipStatus.UNRESOLVED,
    }
)

PAYMENT_STATUSES: Final[Mapping[str, PaymentStatus]] = MappingProxyType(
    {
        "draft": PaymentStatus.DRAFT,
        "open": PaymentStatus.OPEN,
        "pending": PaymentStatus.PENDING,
        "authorized": PaymentStatus.AUTHORIZED,
        "paid": PaymentStatus.PAID,
        "uncollectible": PaymentStatus.UNCOLLECTIBLE,
        "void": PaymentStatus.VOID,
        "unresolved": PaymentStatus.UNRESOLVED,
    }
)

REFUND_STATUSES: Final[Mapping[str, RefundStatus]] = MappingProxyType(
    {
        "pending": RefundStatus.PENDING,
        "requires_action": RefundStatus.REQUIRES_ACTION,
        "succeeded": RefundStatus.SUCCEEDED,
        "failed": RefundStatus.FAILED,
        "canceled": RefundStatus.CANCELED,
    }
)

INVOICE_STATUSES: Final[Mapping[str, InvoiceStatus]] = MappingProxyType(
    {
        "draft": InvoiceStatus.DRAFT,
        "open": InvoiceStatus.OPEN,
        "paid": InvoiceStatus.PAID,
        "past_due": InvoiceStatus.PAST_DUE,
        "uncollectible": InvoiceStatus.UNCOLLECTIBLE,
        "void": InvoiceStatus.VOID,
    }
)

VALID_MEMBERSHIPS: Final = frozenset({MembershipStatus.TRIALING, MembershipStatus.ACTIVE, MembershipStatus.COMPLETED})
"""Memberships that Whop itself calls valid: going into one is an activation, leaving one a deactivation."""

ENDED_MEMBERSHIPS: Final = frozenset({MembershipStatus.CANCELED, MembershipStatus.EXPIRED})

FAILED_SUBSTATUSES: Final = frozenset({"failed", "past_due", "blocked", "price_too_low"})
"""Substatuses of an open payment that say its last attempt failed."""


def membership_status(raw: str) -> MembershipStatus:
    """Our status for Whop's text; `UNKNOWN` for a text that is not in the table."""
    return MEMBERSHIP_STATUSES.get(raw, MembershipStatus.UNKNOWN)


def payment_status(raw: str) -> PaymentStatus:
    """Our status for Whop's text; `UNKNOWN` for a text that is not in the table."""
    return PAYMENT_STATUSES.get(raw, PaymentStatus.UNKNOWN)


def refund_status(raw: str) -> RefundStatus:
    """Our status for Whop's text; `UNKNOWN` for a text that is not in the table."""
    return REFUND_STATUSES.get(raw, RefundStatus.UNKNOWN)


def invoice_status(raw: str) -> InvoiceStatus:
    """Our status for Whop's text; `UNKNOWN` for a text that is not in the table."""
    return INVOICE_STATUSES.get(raw, InvoiceStatus.UNKNOWN)
