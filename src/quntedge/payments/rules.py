"""How a payment's record moves, given what Whop says about it. Pure."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What to do with an incoming snapshot of a payment."""

    APPLY = "applied"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class PaymentState:
    """One payment as we hold it. Amounts in minor units of `currency`."""

    status: str
    raw_status: str
    substatus: str | None
    billing_reason: str | None
    currency: str
    subtotal_minor: int | None
    tax_minor: int | None
    tax_behavior: str | None
    total_minor: int | None
    net_minor: int | None
    refunded_minor: int
    method_kind: str | None
    method_brand: str | None
    method_last4: str | None
    attempts_failed: int
    decline_code: str | None
    recovery_url: str | None
    next_attempt_at: datetime | None
    paid_at: datetime | None
    updated_at: datetime | None


# A payment climbs; it never goes back down. Among equals the newer snapshot wins.
_RANK = {
    "draft": 0,
    "open": 1,
    "requires_action": 1,
    "failed": 1,
    "unresolved": 1,
    "pending": 2,
    "authorized": 2,
    "uncollectible": 3,
    "void": 3,
    "paid": 4,
    "partially_refunded": 5,
    "refunded": 6,
}
_SETTLED = frozenset({"paid", "partially_refunded", "refunded"})


def is_paid(status: str) -> bool:
    """Whether money was collected, whatever became of it later."""
    return status in _SETTLED


def with_refunds(status: str, total_minor: int | None, refunded_minor: int) -> str:
    """The status of a collected payment of which this much went back."""
    if status not in _SETTLED:
        return status
    if refunded_minor <= 0:
        return "paid"
    return "refunded" if total_minor is not None and refunded_minor >= total_minor else "partially_refunded"


def judge(held: PaymentState | None, incoming: PaymentState, *, from_gateway: bool) -> Verdict:
    """Decides whether a snapshot may replace what we hold; see `subscriptions.rules.judge` for the reasoning."""
    if held is None:
        return Verdict.APPLY if from_gateway or incoming.updated_at is not None else Verdict.REREAD
    if incoming.updated_at is None or held.updated_at is None:
        if not from_gateway:
            return Verdict.REREAD
        return Verdict.UNCHANGED if _same(held, incoming) else Verdict.APPLY
    if incoming.updated_at < held.updated_at:
        return Verdict.STALE
    if incoming.updated_at == held.updated_at:
        if _same(held, incoming):
            return Verdict.UNCHANGED
        return Verdict.APPLY if from_gateway else Verdict.REREAD
    if not from_gateway and _RANK.get(incoming.status, 1) < _RANK[held.status] and is_paid(held.status):
        return Verdict.REREAD
    return Verdict.APPLY


def _same(held: PaymentState, incoming: PaymentState) -> bool:
    # Refund totals come from refund records and are not part of the comparison; nor is the status they lead to.
    ignored = {"refunded_minor", "status"}
    return all(
        getattr(held, field.name) == getattr(incoming, field.name)
        for field in fields(PaymentState)
        if field.name not in ignored
    )


def merge(held: PaymentState | None, incoming: PaymentState) -> PaymentState:
    """The state after accepting `incoming`: a collected payment stays collected, nothing known is forgotten."""
    if held is None:
        return replace(incoming, status=with_refunds(incoming.status, incoming.total_minor, incoming.refunded_minor))
    # Nullable at Whop, and refund records have the last word: silence does not undo what they said.
    refunded = incoming.refunded_minor or held.refunded_minor
    falls_back = is_paid(held.status) and _RANK[incoming.status] < _RANK["paid"]
    status = "paid" if falls_back else incoming.status
    total = incoming.total_minor if incoming.total_minor is not None else held.total_minor
    return replace(
        incoming,
        status=with_refunds(status, total, refunded),
        refunded_minor=refunded,
        total_minor=total,
        net_minor=incoming.net_minor if incoming.net_minor is not None else held.net_minor,
        attempts_failed=max(held.attempts_failed, incoming.attempts_failed),
        paid_at=incoming.paid_at or held.paid_at,
    )


class DeclineClass(StrEnum):
    """What a decline means for the next step (whop.md §4.3)."""

    SOFT = "soft"
    ACT = "customer_must_act"
    NEW_METHOD = "needs_another_method"
    HARD = "hard"
    UNCLEAR = "unclear"


_SOFT = frozenset(
    "insufficient_funds bank_insufficient_funds processing_error issuer_unavailable issuer_error try_again_later"
    " reenter_transaction card_velocity_exceeded withdrawal_count_limit_exceeded bank_processing_error"
    " three_d_secure_timeout three_d_secure_generic_error".split()
)
_ACT = frozenset(
    "authentication_required pin_required pin_required_as incorrect_pin invalid_pin pin_try_exceeded".split()
)
_NEW_METHOD = frozenset(
    "expired_card invalid_card_number invalid_zip invalid_card_holder_name card_not_supported card_type_not_supported"
    " currency_not_supported invalid_account no_accounts closed_account bank_account_closed bank_account_not_found"
    " bank_account_frozen bank_invalid_routing_number bank_non_transaction_account bank_details_invalid"
    " sepa_invalid_iban sepa_no_mandate sepa_mandate_data_invalid issuer_not_found".split()
)
_HARD = frozenset(
    "lost_card stolen_card suspected_fraud restricted_card merchant_blacklist transaction_stopped bank_payment_stopped"
    " bank_authorization_revoked bank_not_authorized bank_account_holder_deceased sepa_refused_by_customer"
    " sepa_disputed blocked_by_cardholder regulatory_blocked bank_regulatory_blocked high_risk".split()
)


def decline_class(code: str | None) -> DeclineClass:
    """Groups Whop's decline codes. A code nobody has seen before is unclear, which retries carefully."""
    if code is None:
        return DeclineClass.UNCLEAR
    if code in _SOFT:
        return DeclineClass.SOFT
    if code in _HARD:
        return DeclineClass.HARD
    if code in _NEW_METHOD or code.startswith(("invalid_expiry", "invalid_cvc")):
        return DeclineClass.NEW_METHOD
    if code in _ACT or (code.startswith("three_d_secure_") and code != "three_d_secure_success"):
        return DeclineClass.ACT
    return DeclineClass.UNCLEAR
