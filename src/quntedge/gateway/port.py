"""What the product needs of a payment gateway, in its own words.

Everything above this package speaks in these frozen types; only `gateway.whop` knows how Whop spells them. Snapshots
describe one object as the gateway saw it at `updated_at`; they never say what *we* should do about it.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from quntedge.gateway.disputed import CaseSnapshot, DisputeAlertSnapshot, DisputeReads, DisputeSnapshot
from quntedge.gateway.saved import ReceiptActs, SetupSnapshot
from quntedge.kit.money import Money

Shape = Literal["native", "legacy"]


class MembershipStatus(StrEnum):
    """Status of a membership at the gateway; `UNKNOWN` must never take access away."""

    DRAFTED = "drafted"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    UNRESOLVED = "unresolved"
    UNKNOWN = "unknown"


class PaymentStatus(StrEnum):
    """Status of a payment at the gateway. A failed attempt leaves a payment `OPEN` with `attempt_failed` set."""

    DRAFT = "draft"
    OPEN = "open"
    PENDING = "pending"
    AUTHORIZED = "authorized"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"
    UNRESOLVED = "unresolved"
    UNKNOWN = "unknown"


class RefundStatus(StrEnum):
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class InvoiceStatus(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    PAST_DUE = "past_due"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MembershipSnapshot:
    """A membership as the gateway described it. Times are aware UTC; `updated_at` orders snapshots."""

    membership_id: str
    status: MembershipStatus
    raw_status: str
    plan_id: str
    product_id: str | None = None
    user_id: str | None = None
    member_id: str | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    expires_at: datetime | None = None
    renewal_price: Money | None = None
    paused: bool | None = None
    """None when the snapshot does not tell: a native membership does by its latest action, not by each of them."""
    manage_url: str | None = None
    checkout_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    customer_email: str | None = None
    customer_name: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Shape = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodSnapshot:
    """How a payment was made, as far as it may be shown: never a full number."""

    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    """Four digits."""


@dataclass(frozen=True, slots=True)
class PaymentSnapshot:
    """A payment as the gateway described it. `total` excludes buyer fees; `net` is what reaches the seller."""

    payment_id: str
    status: PaymentStatus
    raw_status: str
    currency: str
    substatus: str | None = None
    membership_id: str | None = None
    member_id: str | None = None
    user_id: str | None = None
    plan_id: str | None = None
    checkout_id: str | None = None
    promo_code_id: str | None = None
    payment_method_id: str | None = None
    billing_reason: str | None = None
    subtotal: Money | None = None
    total: Money | None = None
    presentment: Money | None = None
    """The total in the currency that was shown to the buyer."""
    tax: Money | None = None
    tax_behavior: str | None = None
    refunded: Money | None = None
    refunded_elsewhere: bool = False
    """Something was given back, told in the currency it settled in only: the refunds themselves tell how much."""
    net: Money | None = None
    attempt_failed: bool = False
    payments_failed: int = 0
    retryable: bool = False
    decline_code: str | None = None
    failure_message: str | None = None
    recovery_url: str | None = None
    requires_action: bool = False
    paid_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    method: MethodSnapshot | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    customer_email: str | None = None
    customer_name: str | None = None
    billing_country: str | None = None
    """Two letters, where the buyer gave an address."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Shape = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundSnapshot:
    refund_id: str
    status: RefundStatus
    raw_status: str
    amount: Money
    """As it settled. `in_currency` tells what went back of a payment."""
    moved: Money | None = None
    """What the processor moved, where that is told as well."""
    payment_id: str | None = None
    membership_id: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Shape = "native"
    warnings: tuple[str, ...] = ()

    def in_currency(self, currency: str) -> Money:
        """What was given back, in the payment's currency where the gateway tells that, else as it settled."""
        if self.moved is not None and self.amount.currency != currency == self.moved.currency:
            return self.moved
        return self.amount


@dataclass(frozen=True, slots=True)
class InvoiceSnapshot:
    """An explicit invoice at the gateway. Ordinary checkout subscriptions never have one."""

    invoice_id: str
    status: InvoiceStatus
    raw_status: str
    number: str | None = None
    payment_id: str | None = None
    membership_id: str | None = None
    plan_id: str | None = None
    member_id: str | None = None
    user_id: str | None = None
    total: Money | None = None
    due_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Shape = "native"
    warnings: tuple[str, ...] = ()


class EventKind(StrEnum):
    """Internal names of gateway events: the eleven of the specification and the further ones we act upon."""

    MEMBERSHIP_ACTIVATED = "membership.activated"
    MEMBERSHIP_DEACTIVATED = "membership.deactivated"
    MEMBERSHIP_UPDATED = "membership.updated"
    MEMBERSHIP_TRIALING = "membership.trialing"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_PARTIALLY_REFUNDED = "payment.partially_refunded"
    INVOICE_CREATED = "invoice.created"
    INVOICE_PAID = "invoice.paid"
    INVOICE_PAYMENT_FAILED = "invoice.payment_failed"
    # Beyond the eleven:
    MEMBERSHIP_TRIAL_ENDING = "membership.trial_ending"
    PAYMENT_CREATED = "payment.created"
    PAYMENT_PENDING = "payment.pending"
    PAYMENT_REQUIRES_ACTION = "payment.requires_action"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_CANCELED = "payment.canceled"
    REFUND_UPDATED = "refund.updated"
    INVOICE_ENDED = "invoice.ended"
    METHOD_SAVED = "payment_method.saved"
    DISPUTE_UPDATED = "dispute.updated"
    DISPUTE_ALERTED = "dispute_alert.created"
    CASE_UPDATED = "resolution_center_case.updated"


Contested = DisputeSnapshot | DisputeAlertSnapshot | CaseSnapshot
Snapshot = MembershipSnapshot | PaymentSnapshot | RefundSnapshot | InvoiceSnapshot | SetupSnapshot | Contested


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """One delivery, understood: what it is about, and the object as it was described.

    `trusted` is False where the delivery alone must not be believed (legacy shape, refunds, no `updated_at`): the
    object is then read again from the gateway before it is applied.
    """

    kind: EventKind
    source_name: str
    snapshot: Snapshot
    trusted: bool
    account_id: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IgnoredEvent:
    """A delivery we understand well enough to know that it is none of our business (or of an unknown type)."""

    source_name: str
    known: bool
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the intake needs to know of a delivery before anything is interpreted."""

    event_type: str
    ordering_key: str
    """Events with equal keys are applied one after the other: the membership id where there is one."""
    account_id: str | None = None
    occurred_at: datetime | None = None


class UnusableEvent(Exception):
    """A correctly signed delivery that cannot be interpreted. `reason` is a short stable label, `detail` explains."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A plan to be made at the gateway. `period_days` is None for a one-time plan."""

    product_id: str
    title: str
    price: Money
    period_days: int | None
    trial_days: int | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    plan_id: str
    product_id: str | None
    title: str | None
    price: Money | None
    period_days: int | None
    trial_days: int | None
    archived: bool
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayProduct:
    product_id: str
    title: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """A hosted checkout to be opened. `metadata` comes back on the membership and its payments."""

    plan_id: str
    redirect_url: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GatewayCheckout:
    checkout_id: str
    purchase_url: str


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address the gateway delivers to, and how that has gone lately. It is the gateway's own account of it.

    `consecutive_failures` counts deliveries since it last took one. A disabled endpoint misses everything for good.
    """

    endpoint_id: str
    url: str
    enabled: bool
    consecutive_failures: int
    failing_since: datetime | None
    disabled_reason: str | None


class Gateway(DisputeReads, ReceiptActs, Protocol):
    """The calls the product makes. Reads raise `GatewayUnavailable`, writes `GatewayOutcomeUnknown`, when in doubt."""

    async def account_id(self) -> str:
        """The account our key belongs to."""
        ...

    async def products(self) -> list[GatewayProduct]: ...

    async def create_product(
        self, title: str, *, metadata: Mapping[str, str], idempotency_key: str
    ) -> GatewayProduct: ...

    async def plans(self) -> list[GatewayPlan]: ...

    async def create_plan(self, request: PlanRequest, *, idempotency_key: str) -> GatewayPlan: ...

    async def create_checkout(self, request: CheckoutRequest, *, idempotency_key: str) -> GatewayCheckout: ...

    async def retire_checkout(self, checkout_id: str) -> None:
        """Makes a checkout link unusable. Missing is as good as retired."""
        ...

    async def membership(self, membership_id: str) -> MembershipSnapshot: ...

    async def payment(self, payment_id: str) -> PaymentSnapshot: ...

    async def refund(self, refund_id: str) -> RefundSnapshot: ...

    async def invoice(self, invoice_id: str) -> InvoiceSnapshot: ...

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]: ...

    def memberships_open(self) -> AsyncIterator[list[MembershipSnapshot]]:
        """Pages of the memberships that have not ended, those set to cancel and paused ones included."""
        ...

    def payments_since(self, created_after: datetime) -> AsyncIterator[list[PaymentSnapshot]]:
        """Pages of the payments created after this time; a list may leave out what a single read tells."""
        ...

    async def webhook_endpoints(self) -> list[WebhookEndpoint]: ...

    async def redeliver(self, endpoint_id: str, *, failed_since: datetime, idempotency_key: str) -> None:
        """Has the deliveries that failed since then sent again, under their old ids. It happens in the background."""
        ...

    async def close(self) -> None: ...
