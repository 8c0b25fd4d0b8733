"""Means of payment: those a member has saved, and what payments tell of theirs."""

from typing import Final

from quntedge.gateway.acts import StoredMethod
from quntedge.gateway.port import MethodSnapshot
from quntedge.gateway.whop.fields import Fields

_CENTURY: Final = 2000
_DETAILS: Final = ("card", "us_bank_account", "sepa_debit")
"""Where the kinds of saved methods keep their last digits; the others have none."""

_UNKNOWN: Final = "unknown"


def stored_method(document: object) -> StoredMethod:
    """Reads one saved method, of whatever kind. Raises `UnusableEvent` when its id is unusable.

    The kind is Whop's `payment_method_type`, else the `typename` by which it tells shapes apart.
    """
    fields = Fields(document, "method")
    kind = fields.word("payment_method_type") or fields.word("typename") or _UNKNOWN
    details = next((child for child in map(fields.child, _DETAILS) if child is not None), None)
    known = MethodSnapshot(kind) if details is None else card_from(details, kind)
    return StoredMethod(
        method_id=fields.required_id(),
        kind=kind,
        brand=known.brand,
        last4=known.last4,
        exp_month=known.exp_month,
        exp_year=known.exp_year,
        expired=details is not None and bool(details.flag("expired")),
        fingerprint=None if details is None else details.text("fingerprint"),
        created_at=fields.instant("created_at"),
    )


def card_from(fields: Fields, kind: str | None, prefix: str = "") -> MethodSnapshot:
    """What may be shown of a card whose members begin with `prefix`. Any of them may be missing."""
    last4 = fields.word(f"{prefix}last4")
    if last4 is not None and not (len(last4) == 4 and last4.isascii() and last4.isdigit()):
        # Anything longer might be a full card number, which must not be kept.
        fields.warn(f"{prefix}last4", "not four digits, passed over")
        last4 = None
    year = fields.integer(f"{prefix}exp_year", 0, 9999)
    return MethodSnapshot(
        kind=kind or "card",
        brand=fields.word(f"{prefix}brand"),
        last4=last4,
        exp_month=fields.integer(f"{prefix}exp_month", 1, 12),
        # Stored payment methods carry two digits, payments four.
        exp_year=year + _CENTURY if year is not None and year < 100 else year,
    )
