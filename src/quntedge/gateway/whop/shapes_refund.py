"""Refunds as snapshots: the API's native shape, and the legacy shape that webhooks carry even when pinned."""

from quntedge.gateway.port import RefundSnapshot, Shape
from quntedge.gateway.whop.fields import Fields, unusable
from quntedge.gateway.whop.statuses import refund_status
from quntedge.kit.money import Money


def refund_snapshot(document: object) -> RefundSnapshot:
    """Reads one refund object. Raises `UnusableEvent` when its id, status or amount cannot be read."""
    fields = Fields(document, "data")
    payment = fields.child("payment")
    shape: Shape = "legacy" if payment is not None or "currency" in fields.raw else "native"
    raw_status = fields.required_word("status")
    moved = _amount(fields, "original_amount")
    amount = _amount(fields, "amount") or moved
    if amount is None:
        raise unusable(f"{fields.where}.amount", "is missing")
    return RefundSnapshot(
        refund_id=fields.required_id(),
        status=refund_status(raw_status),
        raw_status=raw_status,
        amount=amount,
        moved=moved,
        payment_id=fields.id("payment_id", "payment"),
        membership_id=fields.id("membership_id") or (payment.id("membership_id", "membership") if payment else None),
        reason=fields.word("reason"),
        failure_reason=fields.word("failure_reason"),
        metadata=fields.metadata(),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def refunded_payment_total(document: object) -> Money | None:
    """The total of the payment a legacy refund describes beside itself; None when it does not tell."""
    fields = Fields(document, "data")
    payment = fields.child("payment")
    return payment.informational_amount("total", payment.word("currency")) if payment is not None else None


def _amount(fields: Fields, name: str) -> Money | None:
    money = fields.amount(name, fields.word("currency"))
    if money is not None and money.amount_minor < 0:
        raise unusable(f"{fields.where}.{name}", "is negative")
    return money
