"""Between rows, snapshots and the values the payment rules work on."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from quntedge.gateway.port import PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments import rules
from quntedge.payments.rules import PaymentState
from quntedge.pricing.told import taken_off

_COLUMNS = (
    "status",
    "raw_status",
    "substatus",
    "billing_reason",
    "currency",
    "subtotal_minor",
    "tax_minor",
    "tax_behavior",
    "total_minor",
    "net_minor",
    "refunded_minor",
    "whop_member_id",
    "whop_promo_code_id",
    "discount_minor",
    "presentment_minor",
    "presentment_currency",
    "fee_minor",
    "disputed_minor",
    "dispute_status",
    "whop_method_id",
    "method_kind",
    "method_brand",
    "method_last4",
    "method_exp_month",
    "method_exp_year",
    "attempts_failed",
    "decline_code",
    "recovery_url",
    "next_attempt_at",
    "paid_at",
)


def state_from_row(row: Row[Any]) -> PaymentState:
    """A stored payment as the rules see it."""
    return PaymentState(**{name: getattr(row, name) for name in _COLUMNS}, updated_at=row.gateway_updated_at)


def state_values(state: PaymentState) -> dict[str, Any]:
    """The column values of a state."""
    return {name: getattr(state, name) for name in _COLUMNS} | {"gateway_updated_at": state.updated_at}


def state_from_snapshot(snapshot: PaymentSnapshot) -> PaymentState:
    """What a snapshot says, in our words."""
    method = snapshot.method
    status = _status(snapshot)
    subtotal, total, tax = _minor(snapshot.subtotal), _minor(snapshot.total), _minor(snapshot.tax)
    refunded = _minor(snapshot.refunded) or 0
    # What is settled in another currency cannot be compared with the total, let alone subtracted from it.
    same_currency = snapshot.net is not None and snapshot.net.currency == snapshot.currency
    net = _minor(snapshot.net) if same_currency else None
    return PaymentState(
        status=status,
        raw_status=snapshot.raw_status,
        substatus=snapshot.substatus,
        billing_reason=snapshot.billing_reason,
        currency=snapshot.currency,
        subtotal_minor=subtotal,
        tax_minor=tax,
        tax_behavior=snapshot.tax_behavior,
        total_minor=total,
        net_minor=net,
        refunded_minor=refunded,
        whop_member_id=snapshot.member_id,
        whop_promo_code_id=snapshot.promo_code_id,
        discount_minor=taken_off(subtotal, total, tax, snapshot.tax_behavior),
        presentment_minor=_minor(snapshot.presentment),
        presentment_currency=snapshot.presentment.currency if snapshot.presentment is not None else None,
        fee_minor=rules.fee(status, snapshot.substatus, refunded, total, net),
        disputed_minor=0,
        dispute_status=None,
        whop_method_id=snapshot.payment_method_id,
        method_exp_month=method.exp_month if method else None,
        method_exp_year=method.exp_year if method else None,
        method_kind=method.kind if method else None,
        method_brand=method.brand if method else None,
        method_last4=method.last4 if method else None,
        attempts_failed=snapshot.payments_failed,
        decline_code=snapshot.decline_code,
        recovery_url=snapshot.recovery_url,
        next_attempt_at=snapshot.next_attempt_at,
        paid_at=snapshot.paid_at,
        updated_at=snapshot.updated_at,
    )


_STATUS = {
    PaymentStatus.DRAFT: "draft",
    PaymentStatus.OPEN: "open",
    PaymentStatus.PENDING: "pending",
    PaymentStatus.AUTHORIZED: "authorized",
    PaymentStatus.PAID: "paid",
    PaymentStatus.UNCOLLECTIBLE: "uncollectible",
    PaymentStatus.VOID: "void",
    PaymentStatus.UNRESOLVED: "unresolved",
    PaymentStatus.UNKNOWN: "unresolved",
}


def _status(snapshot: PaymentSnapshot) -> str:
    if snapshot.status is PaymentStatus.OPEN:
        if snapshot.requires_action:
            return "requires_action"
        if snapshot.attempt_failed:
            return "failed"
    return _STATUS[snapshot.status]


def _minor(money: Money | None) -> int | None:
    return money.amount_minor if money is not None else None


def occurred_at(snapshot: PaymentSnapshot, now: datetime) -> datetime:
    """When the payment came to be, by Whop's clock where it tells."""
    return snapshot.created_at or snapshot.paid_at or snapshot.updated_at or now
