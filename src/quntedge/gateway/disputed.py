"""What the gateway says about payments that buyers contest: disputes, warnings of them, and complaints to the gateway.

Part of the port, in a file of its own. A dispute is opened by the buyer's bank and takes the money away until it is
won; an inquiry is the same procedure without any money moving. Snapshots describe one object at `updated_at`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from quntedge.kit.money import Money


class DisputeStatus(StrEnum):
    """Where a dispute stands. The `warning_` ones are those of an inquiry. `PREVENTED`: the buyer was refunded before
    a ruling, which settles like a lost one. `UNKNOWN` decides nothing and wants somebody to look."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"
    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    UNKNOWN = "unknown"


class AlertKind(StrEnum):
    """What a warning is. With `RAPID_RESOLUTION` the card network has refunded the payment already."""

    FRAUD_WARNING = "early_fraud_warning"
    DISPUTE_ALERT = "dispute_alert"
    RAPID_RESOLUTION = "rapid_dispute_resolution"
    UNKNOWN = "unknown"


class CaseStatus(StrEnum):
    """Whom a complaint is waiting for."""

    AWAITING_SELLER = "awaiting_merchant"
    AWAITING_BUYER = "awaiting_customer"
    UNDER_REVIEW = "under_review"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class FileStatus(StrEnum):
    """Where an uploaded file is. Only a `READY` one can be attached; a `FAILED` one never can."""

    PENDING = "pending"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AttachedDocument:
    """A file that hangs on a dispute, and what it proves, in the gateway's words."""

    file_id: str
    document_type: str


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where the bytes of a file that was announced are put, with these headers. Whoever has it can put them."""

    file_id: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisputeSnapshot:
    """A dispute as the gateway described it. `fee` is what the gateway charges for it, in the fee's own currency.

    `editable`: evidence can still be sent; `acceptable`: it can be conceded. None where the shape does not tell.
    """

    dispute_id: str
    status: DisputeStatus
    raw_status: str
    amount: Money
    inquiry: bool
    payment_id: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    fee: Money | None = None
    evidence_due_at: datetime | None = None
    evidence_submitted_at: datetime | None = None
    editable: bool | None = None
    locked_reason: str | None = None
    acceptable: bool | None = None
    documents: tuple[AttachedDocument, ...] = ()
    """Files in places of their own choice; those in the four fixed places are not among them."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Literal["native", "legacy"] = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DisputeAlertSnapshot:
    """A warning that a payment will be, or has just been, contested. Without `payment_id` nobody could tell which.

    `auto_refunded`: the payment was given back because of it; a refund follows.
    """

    alert_id: str
    kind: AlertKind
    raw_kind: str
    amount: Money
    payment_id: str | None = None
    auto_refunded: bool | None = None
    fee_charged: bool = False
    fee: Money | None = None
    reported_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Literal["native", "legacy"] = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseSnapshot:
    """A complaint inside the gateway's resolution center. `outcome` says who prevailed, `refund` whose money moved."""

    case_id: str
    status: CaseStatus
    raw_status: str
    payment_id: str | None = None
    amount: Money | None = None
    reason: str | None = None
    outcome: str | None = None
    refund: str | None = None
    escalated: bool = False
    response_due_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Literal["native", "legacy"] = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceTexts:
    """What we tell the bank, by the gateway's own places for it. A place that is None is left as it is there."""

    access_activity_log: str | None = None
    billing_address: str | None = None
    cancellation_policy_disclosure: str | None = None
    customer_email_address: str | None = None
    customer_name: str | None = None
    notes: str | None = None
    product_description: str | None = None
    refund_policy_disclosure: str | None = None
    refund_refusal_explanation: str | None = None
    service_date: str | None = None

    def given(self) -> Mapping[str, str]:
        """The places that hold something."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value}


class EvidenceFileActs(Protocol):
    """Bringing files to the gateway: announce one, put its bytes, and when it is ready it can be attached."""

    async def announce_file(self, name: str, size_bytes: int, *, idempotency_key: str) -> UploadPlace:
        """Makes a place for a file, seen by nobody else. The same key gives the same place for a day."""
        ...

    async def put_file(self, place: UploadPlace, content: bytes) -> None:
        """Puts the bytes; putting the same ones again changes nothing. Raises `GatewayRejected`, `GatewayNotFound` when
        the place has expired."""
        ...

    async def file_status(self, file_id: str) -> FileStatus:
        """Where it is now."""
        ...


class DisputeReads(Protocol):
    """Reading what is contested. Raises the port's errors."""

    async def dispute(self, dispute_id: str) -> DisputeSnapshot: ...

    async def dispute_alert(self, alert_id: str) -> DisputeAlertSnapshot: ...

    async def resolution_case(self, case_id: str) -> CaseSnapshot: ...

    def disputes_since(self, created_after: datetime) -> AsyncIterator[list[DisputeSnapshot]]:
        """Pages of the disputes opened after this time."""
        ...

    def dispute_alerts_since(self, created_after: datetime) -> AsyncIterator[list[DisputeAlertSnapshot]]:
        """Pages of the alerts received after this time."""
        ...
