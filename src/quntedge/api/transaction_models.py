"""Payments as the API sends them: to the customer who made them, and with more to the seller's own tools."""

from datetime import datetime
from typing import Any

from pydantic import Field

from quntedge.api.models import MoneyOut, Out, amount
from quntedge.catalog.queries import PlanView
from quntedge.notifications.words import decline_words
from quntedge.payments.models import PaymentAttempt, PaymentTransaction

_ID = "txn_01k4a2f0e8f9xa3s6m1q2r7v5z"


class MethodOut(Out):
    """How a payment was made, as far as it may be shown. `exp_year` has four digits."""

    kind: str = Field(examples=["card"])
    brand: str | None = Field(examples=["visa"])
    last4: str | None = Field(examples=["4242"])
    exp_month: int | None = Field(examples=[4])
    exp_year: int | None = Field(examples=[2030])

    @classmethod
    def of(cls, row: PaymentTransaction) -> "MethodOut | None":
        """The method of a payment, where it is known."""
        if row.method_kind is None:
            return None
        return cls(
            kind=row.method_kind,
            brand=row.method_brand,
            last4=row.method_last4,
            exp_month=row.method_exp_month,
            exp_year=row.method_exp_year,
        )


class TransactionOut(Out):
    """One payment. What is not known is null, never zero.

    `total` is `subtotal` less `discount`, plus `tax` where `tax_behavior` is `exclusive`; `presentment` is the total in
    the currency it was shown in. `recovery_url` is where a failed one can be mended, while that is possible.
    """

    id: str = Field(examples=[_ID])
    status: str = Field(examples=["paid"])
    billing_reason: str | None = Field(examples=["subscription_cycle"])
    plan: str | None = Field(examples=["monthly"], description="Code of the plan.")
    total: MoneyOut | None
    subtotal: MoneyOut | None
    discount: MoneyOut | None
    tax: MoneyOut | None
    tax_behavior: str | None = Field(examples=["exclusive"], description="exclusive, inclusive or unspecified.")
    presentment: MoneyOut | None
    refunded: MoneyOut
    refund_pending: bool
    disputed: MoneyOut
    dispute_status: str | None = Field(examples=[None])
    method: MethodOut | None
    attempts_failed: int
    decline_code: str | None
    recovery_url: str | None
    next_attempt_at: datetime | None
    paid_at: datetime | None
    occurred_at: datetime
    subscription_id: str | None

    @classmethod
    def of(cls, row: PaymentTransaction, plan: PlanView | None = None) -> "TransactionOut":
        """A payment row."""
        return cls(**_members(row, plan))


class PaymentAttemptOut(Out):
    """An attempt to collect a payment that failed, numbered from 1."""

    number: int = Field(examples=[1])
    code: str | None = Field(examples=["insufficient_funds"], description="The bank's answer as a machine word.")
    decline_class: str = Field(
        examples=["soft"], description="soft, customer_must_act, needs_another_method, hard or unclear."
    )
    message: str = Field(description="What it means, in the customer's language.")
    at: datetime

    @classmethod
    def of(cls, row: PaymentAttempt, language: str) -> "PaymentAttemptOut":
        """An attempt as its customer sees it."""
        return cls(
            number=row.number,
            code=row.decline_code,
            decline_class=row.decline_class,
            message=decline_words(row.decline_class, language),
            at=row.at,
        )


class TransactionDetailOut(TransactionOut):
    """One payment, with the attempts that failed, oldest first, and where its receipt is (null: there is none)."""

    attempts: list[PaymentAttemptOut]
    receipt: str | None = Field(examples=[f"/api/payment/transactions/{_ID}/receipt"])

    @classmethod
    def detail(
        cls, row: PaymentTransaction, plan: PlanView | None, attempts: list[PaymentAttempt], language: str
    ) -> "TransactionDetailOut":
        """A payment with its attempts."""
        return cls(
            **_members(row, plan),
            attempts=[PaymentAttemptOut.of(attempt, language) for attempt in attempts],
            receipt=f"/api/payment/transactions/{row.id}/receipt" if row.paid_at is not None else None,
        )


class StaffTransactionOut(TransactionOut):
    """One payment as the seller sees it. `fee` is what collecting it cost, `net` what was left of it when last told."""

    user: str
    fee: MoneyOut | None
    net: MoneyOut | None
    substatus: str | None
    whop_payment_id: str = Field(examples=["pay_A1"])
    whop_membership_id: str | None
    whop_member_id: str | None
    whop_method_id: str | None
    whop_promo_code_id: str | None
    gateway_updated_at: datetime | None

    @classmethod
    def staff(cls, row: PaymentTransaction, plan: PlanView | None) -> "StaffTransactionOut":
        """A payment row with what is none of the customer's business."""
        return cls(**_members(row, plan), **_staff_members(row))


class StaffAttemptOut(Out):
    """An attempt that failed, with the gateway's own words."""

    number: int
    code: str | None
    decline_class: str
    gateway_message: str | None
    at: datetime

    @classmethod
    def of(cls, row: PaymentAttempt) -> "StaffAttemptOut":
        """An attempt as the seller sees it."""
        return cls(
            number=row.number,
            code=row.decline_code,
            decline_class=row.decline_class,
            gateway_message=row.message,
            at=row.at,
        )


class StaffTransactionDetailOut(StaffTransactionOut):
    """One payment with the attempts that failed, oldest first."""

    attempts: list[StaffAttemptOut]

    @classmethod
    def staff_detail(
        cls, row: PaymentTransaction, plan: PlanView | None, attempts: list[PaymentAttempt]
    ) -> "StaffTransactionDetailOut":
        """A payment with its attempts."""
        return cls(
            **_members(row, plan),
            **_staff_members(row),
            attempts=[StaffAttemptOut.of(attempt) for attempt in attempts],
        )


def _members(row: PaymentTransaction, plan: PlanView | None) -> dict[str, Any]:
    presented = amount(row.presentment_minor, row.presentment_currency) if row.presentment_currency else None
    return {
        "id": row.id,
        "status": row.status,
        "billing_reason": row.billing_reason,
        "plan": plan.code if plan is not None else None,
        "total": amount(row.total_minor, row.currency),
        "subtotal": amount(row.subtotal_minor, row.currency),
        "discount": amount(row.discount_minor, row.currency),
        "tax": amount(row.tax_minor, row.currency),
        "tax_behavior": row.tax_behavior,
        "presentment": presented,
        "refunded": MoneyOut(amount_minor=row.refunded_minor, currency=row.currency),
        "refund_pending": row.refund_pending,
        "disputed": MoneyOut(amount_minor=row.disputed_minor, currency=row.currency),
        "dispute_status": row.dispute_status,
        "method": MethodOut.of(row),
        "attempts_failed": row.attempts_failed,
        "decline_code": row.decline_code,
        "recovery_url": row.recovery_url,
        "next_attempt_at": row.next_attempt_at,
        "paid_at": row.paid_at,
        "occurred_at": row.occurred_at,
        "subscription_id": row.subscription_id,
    }


def _staff_members(row: PaymentTransaction) -> dict[str, Any]:
    return {
        "user": row.user_id,
        "fee": amount(row.fee_minor, row.currency),
        "net": amount(row.net_minor, row.currency),
        "substatus": row.substatus,
        "whop_payment_id": row.whop_payment_id,
        "whop_membership_id": row.whop_membership_id,
        "whop_member_id": row.whop_member_id,
        "whop_method_id": row.whop_method_id,
        "whop_promo_code_id": row.whop_promo_code_id,
        "gateway_updated_at": row.gateway_updated_at,
    }
