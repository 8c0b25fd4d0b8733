"""The emulator's objects, as plain mutable records. How they look on the wire is the business of the shapes."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quntedge.kit.money import Money

Metadata = dict[str, Any]


@dataclass(slots=True)
class Record:
    """What every object has. `updated_at` strictly increases with every change (see `Store.touch`)."""

    id: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Product(Record):
    """What is sold; its prices are plans."""

    title: str
    route: str
    headline: str | None = None
    description: str | None = None
    visibility: str = "visible"
    metadata: Metadata = field(default_factory=dict)
    external_identifier: str | None = None


@dataclass(slots=True)
class Plan(Record):
    """A price of a product. `billing_period` is in days and None for one-time plans."""

    product_id: str
    plan_type: str
    initial_price: Money
    renewal_price: Money
    billing_period: int | None = None
    trial_period_days: int | None = None
    expiration_days: int | None = None
    title: str | None = None
    description: str | None = None
    internal_notes: str | None = None
    visibility: str = "visible"
    release_method: str = "buy_now"
    stock: int | None = None
    unlimited_stock: bool = True
    tax_type: str = "unspecified"
    """`inclusive`, `exclusive`, or `unspecified`, which follows the account."""
    metadata: Metadata = field(default_factory=dict)

    @property
    def currency(self) -> str:
        """Lower-case ISO 4217 code."""
        return self.initial_price.currency

    @property
    def recurring(self) -> bool:
        """Whether it renews."""
        return self.plan_type == "renewal"


@dataclass(slots=True)
class Checkout(Record):
    """A checkout configuration: a link that can be used any number of times until it is deleted."""

    mode: str
    plan_id: str | None
    """None in mode `setup`, which saves a card and sells nothing."""
    redirect_url: str | None = None
    affiliate_code: str | None = None
    currency: str | None = None
    three_ds_level: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(slots=True)
class Person(Record):
    """A user of the platform, found by e-mail address."""

    email: str
    username: str
    name: str | None = None
    trialed_plan_ids: list[str] = field(default_factory=list)
    country: str | None = None
    """Lower-case ISO 3166 code the buyer gave at the checkout; decides on taxes."""


@dataclass(slots=True)
class Member(Record):
    """The customer record of our account."""

    user_id: str
    joined_at: datetime
    status: str = "joined"
    banned: bool = False
    announced: bool = False
    """True once member.created was sent, which waits for the first purchase that worked."""


@dataclass(slots=True)
class Method(Record):
    """A stored card. `behaviour` names the test card's rule; the number itself is never kept."""

    member_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    behaviour: str
    fingerprint: str


@dataclass(slots=True)
class Membership(Record):
    """What a buyer has: a running subscription, or something bought for good."""

    plan_id: str
    product_id: str
    user_id: str
    member_id: str
    status: str
    initial_price: Money
    license_key: str
    renewal_price: Money | None = None
    billing_period_days: int | None = None
    checkout_id: str | None = None
    payment_method_id: str | None = None
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    expires_at: datetime | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    cancel_option: str | None = None
    cancellation_reason: str | None = None
    feedback_label: str | None = None
    """The account's own reason to cancel that the buyer picked, in the words of that time."""
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    metadata: Metadata = field(default_factory=dict)
    due_at: datetime | None = None
    """When something happens to this membership by itself next (renewal, end of trial, expiry, resume)."""
    trial_notice_at: datetime | None = None
    declines_ahead: int = 0
    """How many of the next automatic charges are to be declined, whatever the card."""
    decline_code_ahead: str = "insufficient_funds"
    promo_code_id: str | None = None
    promo_charges_left: int | None = None
    """How many of the next charges the promo code lowers; None means all of them."""
    collection_method: str = "charge_automatically"

    @property
    def ended(self) -> bool:
        """Whether it is over for good."""
        return self.status in ("canceled", "expired")


@dataclass(slots=True)
class Payment(Record):
    """One amount to be collected, with as many attempts as it takes."""

    member_id: str
    user_id: str
    plan_id: str
    product_id: str
    billing_reason: str
    total: Money
    """What is collected: after the discount, with exclusive tax."""
    refunded: Money
    status: str = "open"
    substatus: str = "pending"
    membership_id: str | None = None
    checkout_id: str | None = None
    payment_method_id: str | None = None
    trial: bool = False
    """The first payment of a trial: zero, or what a plan asks for up front."""
    paid_at: datetime | None = None
    refunded_at: datetime | None = None
    last_payment_attempt_at: datetime | None = None
    next_payment_attempt_at: datetime | None = None
    payments_failed: int = 0
    decline_code: str | None = None
    failure_message: str | None = None
    three_ds_verified: bool = False
    metadata: Metadata = field(default_factory=dict)
    subtotal: Money | None = None
    """Before discount and tax; None means the same as `total`."""
    tax: Money | None = None
    tax_behavior: str | None = None
    tax_refunded: Money | None = None
    promo_code_id: str | None = None
    quote_id: str | None = None
    invoice_id: str | None = None
    collects_at: datetime | None = None
    """When a charge that was asked for through the API is made: collection runs in the background."""
    capture: bool = True
    """False only reserves the amount; it is collected by a capture."""
    auto_capture_minutes: int | None = None
    released_at: datetime | None = None
    """When a reserved amount is captured by itself, or lapses."""
    by_api: bool = False
    """A first payment that a server asked for: it can be retried, while each try at the checkout is a new payment."""
    off_session: bool = True
    return_url: str | None = None
    dispute_ids: tuple[str, ...] = ()
    dispute_alerted_at: datetime | None = None
    auto_refunded: bool = False
    refund_script: Metadata | None = None
    """How the next refund is to end: `status`, `failure_reason`, `after_seconds`."""


@dataclass(slots=True)
class Refund(Record):
    """Money given back, or about to be."""

    payment_id: str
    amount: Money
    status: str = "pending"
    reason: str | None = "requested_by_customer"
    failure_reason: str | None = None
    failure_message: str | None = None
    settles_at: datetime | None = None
    outcome: str = "succeeded"
    """How it will end when it settles."""
    failure_ahead: str | None = None
    """Why, should it end badly."""
    visa_rdr: bool = False
    metadata: Metadata = field(default_factory=dict)


@dataclass(slots=True)
class InvoiceLine:
    """One line of an invoice."""

    label: str
    quantity: int
    unit_price: Money

    @property
    def total(self) -> Money:
        """Price of the whole line."""
        return self.unit_price * self.quantity


@dataclass(slots=True)
class Invoice(Record):
    """An invoice a seller made by hand."""

    number: str
    plan_id: str
    product_id: str
    collection_method: str
    lines: list[InvoiceLine]
    status: str = "open"
    member_id: str | None = None
    payment_id: str | None = None
    email_address: str | None = None
    customer_name: str | None = None
    due_date: datetime | None = None
    payment_method_id: str | None = None
    membership_id: str | None = None
    finalizes_at: datetime | None = None
    due_at: datetime | None = None
    """When something happens to it by itself next: sent, overdue, given up."""
    anchor_at: datetime | None = None
    charge_buyer_fee: bool = False


@dataclass(slots=True)
class Promo(Record):
    """A promo code."""

    code: str
    promo_type: str
    amount_off: str
    """Decimal text: a fraction for percentages (0.2 is 20 %), major units for flat amounts."""
    currency: str
    status: str = "active"
    promo_duration_months: int | None = None
    new_users_only: bool = False
    churned_users_only: bool = False
    existing_memberships_only: bool = False
    one_per_customer: bool = False
    plan_ids: list[str] = field(default_factory=list)
    product_id: str | None = None
    stock: int = 0
    unlimited_stock: bool = True
    uses: int = 0
    expires_at: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(slots=True)
class Endpoint(Record):
    """A webhook endpoint. Without `api_version_date` it speaks the legacy shapes."""

    url: str
    events: list[str]
    secret: str
    api_version_date: str | None
    enabled: bool = True
    child_resource_events: bool = False
    """True: only events of connected accounts, of which there are none here."""
    consecutive_failures: int = 0
    """How many messages in a row failed at their first attempt."""
    failing_since: datetime | None = None
    last_failure_at: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


@dataclass(slots=True)
class Message(Record):
    """One event on its way to one endpoint. `id` is the webhook-id of every attempt."""

    endpoint_id: str
    event: str
    body: str
    attempts: int = 0
    next_attempt_at: datetime | None = None
    replayed_from: str | None = None


@dataclass(slots=True)
class KeptAnswer:
    """What was answered to an Idempotency-Key. Without `status` the request is running, or its outcome is unknown."""

    fingerprint: str
    at: datetime
    status: int | None = None
    body: str = ""


@dataclass(slots=True)
class Delivery(Record):
    """One finished attempt to deliver a message. `created_at` is when it was sent."""

    message_id: str
    endpoint_id: str
    event: str
    body: str
    response_code: int
    response_body: str
    success: bool
    total_time_ms: int
    replayed_from: str | None = None
