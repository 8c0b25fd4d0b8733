"""Explicit invoices as snapshots. Whop has one shape for them, in its older style."""

from quntedge.gateway.port import InvoiceSnapshot, Shape
from quntedge.gateway.whop.fields import Fields
from quntedge.gateway.whop.statuses import invoice_status
from quntedge.kit.money import CurrencyMismatch, InvalidMoney, Money


def invoice_snapshot(document: object) -> InvoiceSnapshot:
    """Reads one invoice object. Raises `UnusableEvent` when its id, status or a line's amount cannot be read."""
    fields = Fields(document, "data")
    shape: Shape = "legacy" if "company" in fields.raw else "native"
    raw_status = fields.required_word("status")
    return InvoiceSnapshot(
        invoice_id=fields.required_id(),
        status=invoice_status(raw_status),
        raw_status=raw_status,
        number=fields.text("number"),
        payment_id=fields.id("payment_id", "payment"),
        membership_id=fields.id("membership_id", "membership"),
        plan_id=fields.id("plan_id", "current_plan") or fields.id("plan_id", "plan"),
        member_id=fields.id("member_id", "member"),
        user_id=fields.id("user_id", "user"),
        total=_total(fields),
        due_at=fields.instant("due_at", "due_date"),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def _total(fields: Fields) -> Money | None:
    """The sum of the lines, as Whop gives no total; None when a line does not tell its own or there is no currency."""
    plan = fields.child("current_plan")
    currency = fields.word("currency") or (plan.word("currency") if plan is not None else None)
    stated = fields.amount("total", currency)
    if stated is not None or currency is None:
        return stated
    lines = [line.amount("total", currency) for line in fields.children("line_items")]
    amounts = [amount for amount in lines if amount is not None]
    if not amounts or len(amounts) != len(lines):
        return None
    total = amounts[0]
    try:
        for amount in amounts[1:]:
            total = total + amount
    except (CurrencyMismatch, InvalidMoney):
        fields.warn("line_items", "the lines cannot be summed, no total")
        return None
    return total
