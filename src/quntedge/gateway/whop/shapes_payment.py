"""Payments, native and legacy, as snapshots."""

from quntedge.gateway.port import MethodSnapshot, PaymentSnapshot, PaymentStatus, Shape
from quntedge.gateway.whop.fields import Fields, unusable
from quntedge.gateway.whop.shapes_method import card_from
from quntedge.gateway.whop.statuses import FAILED_SUBSTATUSES, payment_status
from quntedge.kit.money import InvalidMoney, Money, exponent

_LEGACY_MARKS = frozenset({"company", "plan", "membership", "member", "refunds", "disputes", "fees"})

_COUNTRY_LETTERS = 2


def payment_snapshot(document: object) -> PaymentSnapshot:
    """Reads one payment object.

    Raises `UnusableEvent` when its id, status or currency cannot be read, or when one of its amounts is there but
    cannot be held exactly.
    """
    fields = Fields(document, "data")
    shape: Shape = "legacy" if not _LEGACY_MARKS.isdisjoint(fields.raw) else "native"
    raw_status = fields.required_word("status")
    currency = _currency(fields)
    status = payment_status(raw_status)
    substatus = fields.word("substatus")
    recovery_url = fields.text("recovery_url")
    user = fields.child("user")
    refunded = _refunded(fields, currency)
    refunded_elsewhere = refunded is not None and refunded.currency != currency
    return PaymentSnapshot(
        payment_id=fields.required_id(),
        status=status,
        raw_status=raw_status,
        currency=currency,
        substatus=substatus,
        membership_id=fields.id("membership_id", "membership"),
        member_id=fields.id("member_id", "member"),
        user_id=fields.id("user_id", "user"),
        plan_id=fields.id("plan_id", "plan"),
        checkout_id=fields.id("checkout_configuration_id"),
        promo_code_id=fields.id("promo_code_id", "promo_code"),
        payment_method_id=fields.id("payment_method_id", "payment_method"),
        billing_reason=fields.word("billing_reason"),
        subtotal=_charged(fields, "subtotal", currency),
        total=_charged(fields, "total", currency),
        presentment=fields.informational_amount("presentment_total", currency),
        tax=_charged(fields, "tax_amount", currency),
        tax_behavior=fields.word("tax_behavior"),
        refunded=None if refunded_elsewhere else refunded,
        refunded_elsewhere=refunded_elsewhere and bool(refunded),
        # What the seller keeps may be settled in another currency or with finer decimals; it is only reported.
        net=fields.informational_amount("amount_after_fees", currency),
        attempt_failed=status is PaymentStatus.OPEN and substatus in FAILED_SUBSTATUSES,
        payments_failed=fields.integer("payments_failed", 0, 1_000_000) or 0,
        retryable=bool(fields.flag("retryable")),
        decline_code=fields.word("decline_code"),
        failure_message=fields.text("failure_message"),
        recovery_url=recovery_url,
        requires_action=status is PaymentStatus.OPEN and recovery_url is not None,
        paid_at=fields.instant("paid_at"),
        last_attempt_at=fields.instant("last_payment_attempt_at", "last_payment_attempt"),
        next_attempt_at=fields.instant("next_payment_attempt_at", "next_payment_attempt"),
        method=_method(fields),
        metadata=fields.metadata(),
        customer_email=fields.text("customer_email") or (user.text("email") if user is not None else None),
        customer_name=(user.text("name") or user.text("username")) if user is not None else None,
        billing_country=_country(fields),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def _currency(fields: Fields) -> str:
    code = fields.required_word("currency").lower()
    try:
        exponent(code)
    except InvalidMoney as error:
        raise unusable(f"{fields.where}.currency", f"is not supported: {error}") from error
    return code


def _charged(fields: Fields, name: str, currency: str) -> Money | None:
    """An amount of the charge itself: never negative, and in the payment's own currency, so that they can be summed."""
    money = fields.amount(name, currency)
    if money is None:
        return None
    if money.currency != currency:
        raise unusable(f"{fields.where}.{name}", "is in another currency than the payment")
    if money.amount_minor < 0:
        raise unusable(f"{fields.where}.{name}", "is negative")
    return money


def _refunded(fields: Fields, currency: str) -> Money | None:
    """What went back, as it settled: not always in the payment's currency."""
    money = fields.amount("refunded_amount", currency)
    if money is not None and money.amount_minor < 0:
        raise unusable(f"{fields.where}.refunded_amount", "is negative")
    return money


def _country(fields: Fields) -> str | None:
    address = fields.child("billing_address")
    country = None if address is None else address.text("country")
    return country.upper() if country is not None and len(country) == _COUNTRY_LETTERS and country.isalpha() else None


def _method(fields: Fields) -> MethodSnapshot | None:
    """How it was paid: from the display instrument, else from the legacy `card_*` fields, else only its kind."""
    instrument = fields.child("payment_instrument")
    kind = (instrument.word("payment_method_type") if instrument is not None else None) or fields.word(
        "payment_method_type"
    )
    card = instrument.child("card") if instrument is not None else None
    if card is not None:
        return card_from(card, kind)
    if fields.raw.get("card_last4") is not None or fields.raw.get("card_brand") is not None:
        return card_from(fields, kind, "card_")
    return MethodSnapshot(kind) if kind is not None else None
