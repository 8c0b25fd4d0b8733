"""What an invoice looks like, given its payment. Pure."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

# What a payment's status makes of its invoice; a payment that is only a draft has none yet.
_FROM_PAYMENT = {
    "open": "open",
    "requires_action": "open",
    "pending": "open",
    "authorized": "open",
    "unresolved": "open",
    "failed": "payment_failed",
    "paid": "paid",
    "partially_refunded": "partially_refunded",
    "refunded": "refunded",
    "void": "void",
    "uncollectible": "uncollectible",
}

# An explicit Whop invoice by itself; `payment_failed` comes from the event's name, not from a status.
_FROM_GATEWAY = {
    "draft": "draft",
    "open": "open",
    "paid": "paid",
    "past_due": "past_due",
    "uncollectible": "uncollectible",
    "void": "void",
    "unknown": "open",
}

SETTLED = frozenset({"paid", "partially_refunded", "refunded"})


INVOICES = "INV"
CREDIT_NOTES = "CN"


@dataclass(frozen=True, slots=True)
class DocumentNumber:
    """A number in a gap-free series: one for each legal entity, kind of document and calendar year of the seller."""

    series: str
    number: int

    def __str__(self) -> str:
        return f"{self.series}-{self.number:06d}"


def series_of(kind: str, moment: datetime, *, code: str = "", time_zone: str = "UTC") -> str:
    """The series a document (`INVOICES`, `CREDIT_NOTES`) of this moment is numbered in.

    `code` is that of the legal entity; the year is that of the moment in the seller's `time_zone`.
    """
    name = f"{kind}-{moment.astimezone(ZoneInfo(time_zone)).year}"
    return f"{code}-{name}" if code else name


def needs_invoice(payment_status: str, total_minor: int | None) -> bool:
    """Whether there is anything to bill: nothing for trials and other payments of zero, nothing for drafts."""
    return payment_status in _FROM_PAYMENT and bool(total_minor)


def status_from_payment(payment_status: str) -> str:
    """The invoice's status that follows from its payment's."""
    return _FROM_PAYMENT[payment_status]


def status_from_gateway(gateway_status: str, *, payment_failed: bool) -> str:
    """The invoice's status that follows from an explicit invoice at Whop."""
    status = _FROM_GATEWAY[gateway_status]
    return "payment_failed" if payment_failed and status in ("open", "past_due") else status


def merged_status(held: str, incoming: str) -> str:
    """A settled invoice is never opened again, and one that was voided comes back only by being paid."""
    if held in SETTLED and incoming not in SETTLED:
        return held
    if held == "void" and incoming not in SETTLED | {"uncollectible"}:
        return held
    return incoming
