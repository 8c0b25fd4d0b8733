"""Records of what goes wrong with money, or only prepares it: disputes, alerts, saved cards."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from quntedge.gateway.emulator.state.records import Metadata, Record
from quntedge.kit.money import Money


@dataclass(slots=True)
class Dispute(Record):
    """A chargeback, or an inquiry that may become one and moves no money."""

    payment_id: str
    amount: Money
    reason: str
    status: str
    inquiry: bool = False
    reason_code: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    """Texts and attachments by the names the API has for them."""
    documents: list[dict[str, Any]] = field(default_factory=list)
    evidence_due_at: datetime | None = None
    evidence_submitted_at: datetime | None = None
    due_at: datetime | None = None
    """When the response window closes by itself; None once it cannot any more."""
    comments: list[dict[str, Any]] = field(default_factory=list)
    withdrawn_at: datetime | None = None
    """When the money was taken; None for an inquiry."""
    returned_at: datetime | None = None
    """When the money came back, because it was won."""

    @property
    def is_open(self) -> bool:
        """Whether nobody has ruled upon it yet."""
        return self.status.removeprefix("warning_") in ("needs_response", "under_review")

    @property
    def took_the_money(self) -> bool:
        """Whether it ended for the buyer."""
        return self.status in ("lost", "prevented")

    @property
    def editable(self) -> bool:
        """Whether evidence can still be changed and sent."""
        return self.status.removeprefix("warning_") == "needs_response" and self.evidence_submitted_at is None

    @property
    def acceptable(self) -> bool:
        """Whether the seller can still concede. An inquiry moved no money: there is nothing to concede."""
        return not self.inquiry and self.editable

    @property
    def locked_reason(self) -> str | None:
        """Why evidence cannot be changed; None while it can."""
        if self.editable:
            return None
        if self.evidence_submitted_at is not None:
            return "submitted"
        return "response_window_closed" if self.is_open else "not_contestable"


@dataclass(slots=True)
class DisputeAlert(Record):
    """An early warning that a buyer is about to dispute a payment. `created_at` is when it was received."""

    payment_id: str
    amount: Money
    type: str
    reported_at: datetime
    auto_refunded: bool = False
    fee_charged: bool = True
    dispute_id: str | None = None


@dataclass(slots=True)
class Quote(Record):
    """A price that one payment may charge until it expires."""

    plan_id: str
    subtotal: Money
    discount: Money
    total: Money
    expires_at: datetime
    tax: Money | None = None
    tax_behavior: str | None = None
    promo_code_id: str | None = None
    country: str | None = None
    payment_id: str | None = None
    """The payment that holds it; None again when that was voided."""


@dataclass(slots=True)
class SetupIntent(Record):
    """Saving a card without buying."""

    member_id: str
    user_id: str
    status: str = "processing"
    payment_method_id: str | None = None
    checkout_id: str | None = None
    return_url: str | None = None
    three_ds_level: str | None = None
    three_ds_verified: bool = False
    error_code: str | None = None
    error_message: str | None = None
    metadata: Metadata = field(default_factory=dict)
