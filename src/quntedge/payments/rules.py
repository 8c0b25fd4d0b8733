"""How a payment's record moves, given what Whop says about it. Pure."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


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
    whop_member_id: str | None
    whop_promo_code_id: str | None
    discount_minor: int | None
    presentment_minor: int | None
    presentment_currency: str | None
    fee_minor: int | None
    disputed_minor: int
    dispute_status: str | None
    whop_method_id: str | None
    method_exp_month: int | None
    method_exp_year: int | None
    method_kind: str | None
    method_brand: str | None
    method_last4: str | None
    attempts_failed: int
    decline_code: str | None
    recovery_url: str | None
    next_attempt_at: datetime | None
    paid_at: datetime | None
    updated_at: datetime | None


_STEP = {"draft": 0, "open": 1, "requires_action": 1, "failed": 1, "unresolved": 1, "pending": 2, "authorized": 2}
_GIVEN_UP = frozenset({"uncollectible", "void"})
_SETTLED = {"paid": 0, "partially_refunded": 1, "refunded": 2}


def is_paid(status: str) -> bool:
    """Whether money was collected, whatever became of it later."""
    return status in _SETTLED


def rank(status: str, attempts_failed: int) -> tuple[int, int, int]:
    """How far a payment has come: it climbs and never goes back down. Among equals the newer snapshot wins.

    Collected is further than given up, which is further than anything open. Of what is open, the one with more failed
    attempts is further: a transfer that was under way and bounced is open again, and yet nobody's clock ran backwards.
    How much was given back of a collected payment is decided by amounts; only they can take it back a step.
    """
    if status in _SETTLED:
        return (2, _SETTLED[status], 0)
    if status in _GIVEN_UP:
        return (1, 0, 0)
    return (0, attempts_failed, _STEP.get(status, 1))


def _falls_back(held: PaymentState, incoming: PaymentState) -> bool:
    return rank(incoming.status, incoming.attempts_failed) < rank(held.status, held.attempts_failed)


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
    if not from_gateway and _falls_back(held, incoming):
        return Verdict.REREAD
    return Verdict.APPLY


def _same(held: PaymentState, incoming: PaymentState) -> bool:
    return all(getattr(held, name) == getattr(incoming, name) for name in _COMPARED)


# Refund and dispute totals come from records of their own, and the status follows from the first. The fee is what was
# told before any of that, and what some snapshots leave out does not make them different.
_NOT_COMPARED = frozenset({"refunded_minor", "status", "disputed_minor", "dispute_status", "fee_minor"})
_COMPARED = tuple(field.name for field in fields(PaymentState) if field.name not in _NOT_COMPARED)


def merge(held: PaymentState | None, incoming: PaymentState) -> PaymentState:
    """The state after accepting `incoming`: no way back to a lower rank, nothing known is forgotten."""
    if held is None:
        return _with_status(incoming, incoming.status)
    # Nullable at Whop, and refund records have the last word: silence does not undo what they said.
    refunded = incoming.refunded_minor or held.refunded_minor
    status = held.status if _falls_back(held, incoming) else incoming.status
    silent = [name for name in _KEPT if getattr(incoming, name) is None]
    if incoming.method_kind is None and incoming.whop_method_id is None:
        silent.extend(_METHOD)
    known: dict[str, Any] = {name: getattr(held, name) for name in silent}
    merged = replace(
        incoming,
        **known,
        refunded_minor=refunded,
        disputed_minor=held.disputed_minor,
        dispute_status=held.dispute_status,
        # What collecting cost was said first; later answers may have refunds and disputes taken off as well.
        fee_minor=held.fee_minor if held.fee_minor is not None else incoming.fee_minor,
        attempts_failed=max(held.attempts_failed, incoming.attempts_failed),
    )
    return _with_status(merged, status)


def _with_status(state: PaymentState, status: str) -> PaymentState:
    after = with_refunds(status, state.total_minor, state.refunded_minor)
    return state if after == state.status else replace(state, status=after)


# Whop leaves some of these out of lists, and all of them where a permission is missing.
_KEPT = (
    "subtotal_minor",
    "discount_minor",
    "total_minor",
    "presentment_minor",
    "presentment_currency",
    "net_minor",
    "paid_at",
    "whop_member_id",
    "whop_promo_code_id",
)
_METHOD = ("whop_method_id", "method_kind", "method_brand", "method_last4", "method_exp_month", "method_exp_year")


def fee(status: str, substatus: str | None, refunded: int, total: int | None, net: int | None) -> int | None:
    """What collecting a payment cost: the total less what the seller keeps, in their minor units.

    Only a payment of which nothing was given back and that nobody disputes tells: from the net of others Whop may have
    taken more than its fees. None in all other cases; it is never guessed.
    """
    told = status == "paid" and substatus in _UNTOUCHED and refunded == 0
    if not told or total is None or net is None or net > total:
        return None
    return total - net


_UNTOUCHED = frozenset({None, "succeeded"})


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
