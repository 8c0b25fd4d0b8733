"""What the API sends and reads. Answers are made from rows and views as they are; there is no layer in between."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from quntedge.access.rules import Decision, Reason
from quntedge.catalog.features import FeatureValue
from quntedge.catalog.queries import FeatureView, PlanView
from quntedge.checkout.queries import CheckoutView
from quntedge.invoices.models import Invoice
from quntedge.kit.money import Money
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import for_customers
from quntedge.subscriptions.models import Subscription, SubscriptionEvent

Item = TypeVar("Item")

PlanCode = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Code of a plan.", examples=["monthly"])
]
CurrencyCode = Annotated[
    str,
    Field(
        pattern=r"^[a-z]{3}$",
        description="One of the currencies the plan is sold in (ISO 4217, lower case); without it the plan's own.",
        examples=["eur"],
    ),
]


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)


_YEARS = range(1970, 3000)
"""Times that can be meant. Near the ends of the calendar a time has no form in every zone."""


class In(BaseModel):
    """A request body: unknown members are refused, so that a misspelt one is not silently ignored; and so is what no
    record can hold, a NUL character or a time at the end of the calendar."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="after")
    @classmethod
    def _recordable(cls, value: Any) -> Any:
        if isinstance(value, datetime):
            if value.year not in _YEARS:
                raise ValueError(f"give a time between the years {_YEARS.start} and {_YEARS.stop - 1}")
            return value.astimezone(UTC) if value.tzinfo is not None else value
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, str) and "\0" in part:
                raise ValueError("leave out the character U+0000, which no text here can have")
            if isinstance(part, list):
                waiting += part
            elif isinstance(part, dict):
                waiting += [*part.keys(), *part.values()]
        return value


class MoneyOut(Out):
    """An exact amount: an integer of the currency's minor unit, and a lower-case ISO 4217 code."""

    amount_minor: int = Field(examples=[2900])
    currency: str = Field(examples=["usd"])

    @classmethod
    def of(cls, money: Money) -> "MoneyOut":
        """The amount as it is sent."""
        return cls(amount_minor=money.amount_minor, currency=money.currency)


def amount(minor: int | None, currency: str) -> MoneyOut | None:
    """Money from a row's columns; None stays None."""
    return None if minor is None else MoneyOut(amount_minor=minor, currency=currency)


class Listing(Out, Generic[Item]):
    """One page of a list. `next_cursor` leads to the next one and is null on the last."""

    data: list[Item]
    next_cursor: str | None = None


class FeatureOut(Out):
    """A feature as it is sold. `value` is a limit's number (null: without limit) or a config's text."""

    code: str = Field(examples=["advanced_analytics"])
    name: str
    description: str
    kind: str = Field(examples=["boolean"], description="boolean, limit or config.")
    unit: str = Field(examples=[""], description="What a limit counts.")
    value: FeatureValue = Field(examples=[None])

    @classmethod
    def of(cls, feature: FeatureView) -> "FeatureOut":
        """A feature of a plan."""
        return cls(
            code=feature.code,
            name=feature.name,
            description=feature.description,
            kind=feature.kind,
            unit=feature.unit,
            value=feature.value,
        )


class PlanOut(Out):
    """A plan. `period_days` is null for plans without renewal (free, lifetime).

    `price` is in the plan's own currency, `prices` are all it can be bought at. `version` counts its terms: subscribers
    keep the version they bought.
    """

    code: str = Field(examples=["monthly"])
    name: str = Field(examples=["Monthly"])
    tagline: str
    kind: str = Field(examples=["recurring"], description="free, recurring or lifetime.")
    price: MoneyOut
    prices: list[MoneyOut]
    version: int = Field(examples=[1])
    period_days: int | None = Field(examples=[30])
    trial_days: int = Field(examples=[7])
    highlighted: bool
    features: list[FeatureOut]

    @classmethod
    def of(cls, plan: PlanView) -> "PlanOut":
        """A plan of the catalogue."""
        return cls(
            code=plan.code,
            name=plan.name,
            tagline=plan.tagline,
            kind=plan.kind,
            price=MoneyOut.of(plan.price),
            prices=[MoneyOut.of(terms.price) for terms in plan.prices],
            version=plan.version,
            period_days=plan.period_days,
            trial_days=plan.trial_days,
            highlighted=plan.highlighted,
            features=[FeatureOut.of(feature) for feature in plan.features],
        )


class DecisionOut(Out):
    """Whether a feature may be used, why, and until when this answer may be kept (null: until something happens).

    `value` is how much of it: a limit's number or a config's text; null where it is only yes or no, and for a limit
    that is unlimited.
    """

    allowed: bool
    reason: Reason
    until: datetime | None
    grace: bool
    value: FeatureValue

    @classmethod
    def of(cls, decision: Decision) -> "DecisionOut":
        """A decision as it is sent."""
        return cls(
            allowed=decision.allowed,
            reason=decision.reason,
            until=decision.until,
            grace=decision.grace,
            value=decision.value,
        )


class SubscriptionOut(Out):
    """A subscription. `price` is what the next renewal costs, null when nothing renews."""

    id: str = Field(examples=["sub_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    plan: str = Field(examples=["monthly"])
    plan_name: str = Field(examples=["Monthly"])
    status: str = Field(
        examples=["active"],
        description="incomplete, trialing, active, past_due, paused, canceled, expired or completed.",
    )
    price: MoneyOut | None
    cancel_at_period_end: bool
    started_at: datetime
    period_start: datetime | None
    period_end: datetime | None
    trial_end: datetime | None
    grace_until: datetime | None
    paused_at: datetime | None
    resume_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Subscription, plan: PlanView) -> "SubscriptionOut":
        """A subscription and its plan."""
        renews = plan.kind == "recurring" and row.ended_at is None
        price = amount(row.renewal_price_minor, row.currency or plan.price.currency) or MoneyOut.of(plan.price)
        return cls(
            id=row.id,
            plan=plan.code,
            plan_name=plan.name,
            status=row.status,
            price=price if renews else None,
            cancel_at_period_end=row.cancel_at_period_end,
            started_at=row.started_at,
            period_start=row.period_start,
            period_end=row.period_end,
            trial_end=row.trial_end,
            grace_until=row.grace_until,
            paused_at=row.paused_at,
            resume_at=row.resume_at,
            canceled_at=row.canceled_at,
            ended_at=row.ended_at,
        )


class StandingOut(Out):
    """Where a user stands. `problem` is null, `payment_failed` or `under_review`."""

    user: str
    subscription: SubscriptionOut | None
    features: dict[str, DecisionOut]
    problem: str | None


class SubscriptionEventOut(Out):
    """One change of a subscription."""

    id: str
    subscription_id: str
    kind: str = Field(examples=["subscription.renewed"])
    status: str | None = Field(description="The status after the change.")
    at: datetime

    @classmethod
    def of(cls, row: SubscriptionEvent) -> "SubscriptionEventOut":
        """A history row, without what is ours alone."""
        return cls(
            id=row.id, subscription_id=row.subscription_id, kind=row.kind, status=row.after.get("status"), at=row.at
        )


class InvoiceOut(Out):
    """One invoice. `number` is null until it is paid."""

    id: str
    number: str | None = Field(examples=["INV-2026-000042"])
    status: str = Field(examples=["paid"])
    total: MoneyOut
    subtotal: MoneyOut | None
    tax: MoneyOut | None
    refunded: MoneyOut
    credited: MoneyOut = Field(description="What credit notes have taken off it.")
    dispute: str | None = Field(examples=[None], description="open, won or lost; null where nobody disputed it.")
    due_at: datetime | None
    issued_at: datetime
    paid_at: datetime | None
    transaction_id: str | None
    subscription_id: str | None

    @classmethod
    def of(cls, row: Invoice) -> "InvoiceOut":
        """An invoice row."""
        return cls(
            id=row.id,
            number=row.number,
            status=row.status,
            total=MoneyOut(amount_minor=row.total_minor, currency=row.currency),
            subtotal=amount(row.subtotal_minor, row.currency),
            tax=amount(row.tax_minor, row.currency),
            refunded=MoneyOut(amount_minor=row.refunded_minor, currency=row.currency),
            credited=MoneyOut(amount_minor=row.credited_minor, currency=row.currency),
            dispute=row.dispute_status,
            due_at=row.due_at,
            issued_at=row.issued_at,
            paid_at=row.paid_at,
            transaction_id=row.transaction_id,
            subscription_id=row.subscription_id,
        )


class RefundOut(Out):
    """One refund: `pending` until the bank has it, then `succeeded` or `failed`; `rejected` when it is not owed."""

    id: str
    status: str = Field(examples=["succeeded"])
    amount: MoneyOut
    transaction_id: str
    occurred_at: datetime

    @classmethod
    def of(cls, row: Refund) -> "RefundOut":
        """A refund row."""
        return cls(
            id=row.id,
            status=for_customers(row.status),
            amount=MoneyOut(amount_minor=row.amount_minor, currency=row.currency),
            transaction_id=row.transaction_id,
            occurred_at=row.occurred_at,
        )


class CheckoutIn(In):
    """What to buy."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"plan": "monthly"}]})

    plan: PlanCode
    currency: CurrencyCode | None = None
    promotion_code: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A promotion code as the customer typed it. One use of it is held for two hours.",
        examples=["LAUNCH20"],
    )


class CheckoutOut(Out):
    """A purchase under way. Send the customer to `purchase_url` while it is not null.

    With a promotion, `discount` comes off the price of each charge it is for, and the customer has to type
    `payment_code` on the payment page: a code that is theirs alone. Show it to them before you send them there.
    """

    id: str = Field(examples=["chk_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    state: str = Field(examples=["open"], description="created, open, completed, failed, expired or unknown.")
    plan: str
    plan_name: str
    price: MoneyOut
    discount: MoneyOut | None
    total: MoneyOut
    promotion_code: str | None
    payment_code: str | None = Field(examples=["LAUNCH20-7K3Q9XF2MN"])
    purchase_url: str | None
    failure: str | None
    subscription_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, view: CheckoutView) -> "CheckoutOut":
        """A checkout as its customer sees it."""
        return cls(
            id=view.id,
            state=view.state,
            plan=view.plan_code,
            plan_name=view.plan_name,
            price=MoneyOut.of(view.price),
            discount=None if view.discount is None else MoneyOut.of(view.discount),
            total=MoneyOut.of(view.total),
            promotion_code=view.promotion_code,
            payment_code=view.payment_code,
            purchase_url=view.purchase_url,
            failure=view.failure,
            subscription_id=view.subscription_id,
            created_at=view.created_at,
        )


class AccessCheckIn(In):
    """Many questions at once: every user with every feature, at most 100 pairs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"users": ["usr_01k4a2f0e8f9xa3s6m1q2r7v5z"], "features": ["advanced_analytics"]}]
        },
    )

    users: list[Annotated[str, Field(pattern=r"^usr_[0-9a-hjkmnp-tv-z]{26}$")]] = Field(min_length=1, max_length=100)
    features: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]] = Field(min_length=1, max_length=100)


class AccessCheckOut(Out):
    """Decisions by user, then by feature."""

    users: dict[str, dict[str, DecisionOut]]
