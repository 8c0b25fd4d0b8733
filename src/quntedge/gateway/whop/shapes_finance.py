"""Fees, movements and payouts as Whop writes them.

Whop's own ledger counts far finer than a cent (a dollar is 100,000,000 of its units): a movement is split into whole
minor units and what is left over, so that sums are exact and a rounding shows as what it is.
"""

import re
from datetime import datetime
from fractions import Fraction
from typing import Final

from quntedge.gateway.finance import (
    RESIDUE_PER_UNIT,
    Movement,
    MovementKind,
    PaymentFee,
    PayoutSnapshot,
    PayoutStatus,
)
from quntedge.gateway.whop.fields import Fields, unusable
from quntedge.kit.money import InvalidMoney, Money, exponent, round_half_away

_INTEGER: Final = re.compile(r"-?[0-9]{1,30}")

_KINDS: Final[dict[MovementKind, frozenset[str]]] = {
    MovementKind.CHARGE: frozenset(
        "payment_gross payment_gross_reversal legacy_payment platform_balance_payment platform_credits_payment"
        " topup topup_reversal".split()
    ),
    MovementKind.FEE: frozenset(
        "whop_processing_fee payment_processing_percentage_fee payment_processing_fixed_fee billing_percentage_fee"
        " orchestration_percentage_fee fx_percentage_fee cross_border_percentage_fee three_ds_fixed_fee"
        " stripe_domestic_processing_fee stripe_international_processing_fee stripe_fixed_processing_fee"
        " stripe_standard_processing_fee stripe_billing_fee stripe_radar_fee stripe_sales_tax_fee sales_tax_fee"
        " paypal_fee crypto_fee apple_processing_fee sezzle_processing_fee splitit_processing_fee"
        " platform_balance_processing_fee application_fee revshare_percentage_fee affiliate_fee"
        " marketplace_affiliate_fee high_risk_merchant_fee fraud_prevention_fee economic_intelligence_percentage_fee"
        " buyer_fee fees payment_revshare payment_revshare_reversal payment_revshare_refund".split()
    ),
    MovementKind.TAX: frozenset(("sales_tax_remittance", "sales_tax_remittance_reversal")),
    MovementKind.REFUND: frozenset(
        "payment_refund payment_refund_reversal legacy_payment_refund resolution_center_refund"
        " platform_balance_payment_refund platform_credits_payment_refund".split()
    ),
    MovementKind.DISPUTE: frozenset(
        "payment_dispute payment_dispute_reversal payment_dispute_adjustment dispute_hold_adjustment"
        " platform_covered_dispute".split()
    ),
    MovementKind.DISPUTE_FEE: frozenset(
        "payment_dispute_fee dispute_fee dispute_alert_fee dispute_representment_fee".split()
    ),
    MovementKind.PAYOUT: frozenset(
        "withdrawal withdrawal_reversal withdrawal_clawback withdrawal_clawback_reversal internal_withdrawal"
        " internal_withdrawal_reversal".split()
    ),
    MovementKind.PAYOUT_FEE: frozenset(
        "withdrawal_fee withdrawal_fee_reversal withdrawal_markup_fee withdrawal_markup_fee_reversal payout_fee"
        " stripe_payout_fee internal_withdrawal_fee internal_withdrawal_fee_reversal".split()
    ),
}
"""Whop's line types and fee origins by what they mean to our books; a type that is not here is `OTHER`."""

_PAYOUT_STATUSES: Final = {status.value: status for status in PayoutStatus}
_KIND_OF: Final = {name: kind for kind, names in _KINDS.items() for name in names}


def movement_kind(word: str) -> MovementKind:
    """What a line type or a fee's origin is about."""
    return _KIND_OF.get(word, MovementKind.OTHER)


def payment_fee(document: object) -> PaymentFee:
    """Reads one fee. Raises `UnusableEvent` when its amount or its name cannot be read.

    Of its two amounts the one in the payment's settlement currency counts. Whop writes costs as negative amounts.
    """
    fields = Fields(document, "fee")
    money = fields.amount("settlement_amount", None)
    if money is None:
        money = fields.amount("amount", None)
    if money is None:
        raise unusable(f"{fields.where}.settlement_amount", "is missing")
    origin = fields.required_word("origin")
    return PaymentFee(
        amount=-money,
        kind=fields.required_word("type"),
        origin=origin,
        # A family nobody has assigned is a fee all the same: it comes from a list of fees.
        movement=MovementKind.FEE if (kind := movement_kind(origin)) is MovementKind.OTHER else kind,
        collected_at=fields.instant("collected_at"),
    )


def movement(document: object) -> Movement:
    """Reads one movement. Raises `UnusableEvent` when its id, type, amount or time cannot be read."""
    fields = Fields(document, "activity")
    line_type = fields.required_word("line_type")
    amount, residue = _exact(fields)
    source = fields.child("source")
    return Movement(
        movement_id=fields.required_id(),
        line_type=line_type,
        kind=movement_kind(line_type),
        amount=amount,
        residue=residue,
        payment_id=fields.id("payment_id"),
        source_id=source.id("id") if source is not None else None,
        posted_at=_needed_instant(fields, "posted_at"),
        available_at=fields.instant("available_at"),
    )


def payout(document: object) -> PayoutSnapshot:
    """Reads one payout. Raises `UnusableEvent` when its id, status, amount or time cannot be read."""
    fields = Fields(document, "payout")
    currency = fields.required_word("currency").lower()
    amount = fields.amount("amount", currency)
    if amount is None:
        raise unusable(f"{fields.where}.amount", "is missing")
    raw_status = fields.required_word("status")
    failure = fields.child("failure")
    return PayoutSnapshot(
        payout_id=fields.required_id(),
        status=_PAYOUT_STATUSES.get(raw_status, PayoutStatus.UNKNOWN),
        raw_status=raw_status,
        amount=amount,
        fee=_payout_fee(fields, currency),
        created_at=_needed_instant(fields, "created_at"),
        arrives_at=fields.instant("estimated_arrival"),
        failure_code=failure.word("code") if failure is not None else None,
        returned_at=failure.instant("funds_returned_at") if failure is not None else None,
    )


def _payout_fee(fields: Fields, currency: str) -> Money:
    """Fee and markup, unless somebody else pays them."""
    nothing = Money.zero(currency)
    if fields.word("fee_paid_by") == "platform":
        return nothing
    return (fields.amount("fee_amount", currency) or nothing) + (fields.amount("markup_fee", currency) or nothing)


def _exact(fields: Fields) -> tuple[Money, int]:
    """The signed amount in whole minor units, and what is left over, in hundred-millionths of one."""
    currency = fields.child("currency")
    if currency is None:
        raise unusable(f"{fields.where}.currency", "is missing")
    code = currency.required_word("code").lower()
    units, precision = _integer(fields, "amount"), _integer(currency, "precision")
    try:
        per_major = 10 ** exponent(code)
        if precision <= 0:
            raise unusable(f"{currency.where}.precision", "must be more than zero")
        exact = Fraction(units * per_major, precision)
        whole = round_half_away(exact)
        rest = (exact - whole) * RESIDUE_PER_UNIT
        if rest.denominator != 1:
            raise unusable(f"{fields.where}.amount", "is finer than it can be kept")
        return Money(whole, code), int(rest)
    except InvalidMoney as error:
        raise unusable(f"{fields.where}.amount", f"is no usable amount: {error}") from error


def _integer(fields: Fields, name: str) -> int:
    """A whole number, which Whop writes as text here."""
    value = fields.raw.get(name)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or _INTEGER.fullmatch(text) is None:
        raise unusable(f"{fields.where}.{name}", "must be a whole number")
    return int(text)


def _needed_instant(fields: Fields, name: str) -> datetime:
    at = fields.instant(name)
    if at is None:
        raise unusable(f"{fields.where}.{name}", "must be a time")
    return at
