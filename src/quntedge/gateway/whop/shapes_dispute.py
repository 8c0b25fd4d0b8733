"""Disputes, dispute alerts and complaints as snapshots: Whop's native shapes and the legacy ones of old endpoints.

Personal data that comes along (the buyer's name and address, what the bank wrote) is left where it is.
"""

from collections.abc import Mapping
from typing import Final

from quntedge.gateway.disputed import (
    AlertKind,
    AttachedDocument,
    CaseSnapshot,
    CaseStatus,
    DisputeAlertSnapshot,
    DisputeSnapshot,
    DisputeStatus,
    FileStatus,
    UploadPlace,
)
from quntedge.gateway.port import Shape
from quntedge.gateway.whop.fields import Fields, unusable
from quntedge.kit.money import Money

_STATUSES: Final[Mapping[str, DisputeStatus]] = {
    status.value: status for status in DisputeStatus if status is not DisputeStatus.UNKNOWN
}
"""Older versions also say `closed` and `other`, which may mean several things: those stay unknown."""

_INQUIRIES: Final = frozenset(status for status in DisputeStatus if status.value.startswith("warning_"))

_KINDS: Final[Mapping[str, AlertKind]] = {
    **{kind.value: kind for kind in AlertKind if kind is not AlertKind.UNKNOWN},
    "dispute": AlertKind.DISPUTE_ALERT,
    "dispute_rdr": AlertKind.RAPID_RESOLUTION,
    "fraud": AlertKind.FRAUD_WARNING,
}
"""With the names of older versions."""

_CASES: Final[Mapping[str, CaseStatus]] = {
    **{status.value: status for status in CaseStatus if status is not CaseStatus.UNKNOWN},
    "merchant_response_needed": CaseStatus.AWAITING_SELLER,
    "merchant_info_needed": CaseStatus.AWAITING_SELLER,
    "customer_response_needed": CaseStatus.AWAITING_BUYER,
    "customer_info_needed": CaseStatus.AWAITING_BUYER,
    "under_platform_review": CaseStatus.UNDER_REVIEW,
    "customer_won": CaseStatus.CLOSED,
    "merchant_won": CaseStatus.CLOSED,
    "customer_withdrew": CaseStatus.CLOSED,
}


_LONGEST_ADDRESS: Final = 8_192


def dispute_snapshot(document: object) -> DisputeSnapshot:
    """Reads one dispute. Raises `UnusableEvent` when its id, status or amount cannot be read."""
    fields = Fields(document, "data")
    shape: Shape = "native" if "inquiry" in fields.raw else "legacy"
    raw_status = fields.required_word("status")
    status = _STATUSES.get(raw_status, DisputeStatus.UNKNOWN)
    stated = fields.flag("inquiry")
    return DisputeSnapshot(
        dispute_id=fields.required_id(),
        status=status,
        raw_status=raw_status,
        amount=_amount(fields),
        inquiry=status in _INQUIRIES if stated is None else stated,
        payment_id=fields.id("payment_id", "payment"),
        reason=fields.word("reason"),
        reason_code=fields.word("reason_code"),
        fee=fields.informational_amount("fee", None),
        evidence_due_at=fields.instant("evidence_due_at", "needs_response_by"),
        evidence_submitted_at=fields.instant("evidence_submitted_at"),
        editable=fields.flag("evidence_editable" if shape == "native" else "editable"),
        locked_reason=fields.word("evidence_locked_reason"),
        acceptable=fields.flag("acceptable"),
        documents=_documents(fields),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def _documents(fields: Fields) -> tuple[AttachedDocument, ...]:
    """The files in the evidence. Older shapes do not tell of them."""
    evidence = fields.child("evidence")
    found = evidence.children("documents") if evidence is not None else []
    named = [(one.id("id"), one.word("document_type")) for one in found]
    return tuple(AttachedDocument(file_id, kind) for file_id, kind in named if file_id and kind)


def upload_place(document: object) -> UploadPlace:
    """Reads a file that was just announced. Raises `UnusableEvent` when it does not say where its bytes go."""
    fields = Fields(document, "file")
    url, headers = fields.raw.get("upload_url"), fields.raw.get("upload_headers") or {}
    if not isinstance(url, str) or len(url) > _LONGEST_ADDRESS:
        raise unusable("file.upload_url", "must be an address")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise unusable("file.upload_headers", "must be an object of texts")
    return UploadPlace(fields.required_id(), url, dict(headers))


def file_status(document: object) -> FileStatus:
    """Reads where a file is. Raises `UnusableEvent`."""
    said = Fields(document, "file").required_word("upload_status")
    return FileStatus(said) if said in tuple(FileStatus) else FileStatus.UNKNOWN


def alert_snapshot(document: object) -> DisputeAlertSnapshot:
    """Reads one dispute alert. Raises `UnusableEvent` when its id, type or amount cannot be read."""
    fields = Fields(document, "data")
    shape: Shape = "legacy" if "alert_type" in fields.raw else "native"
    raw_kind = fields.required_word("alert_type" if shape == "legacy" else "type")
    charged = fields.flag("fee_charged" if shape == "native" else "charge_for_alert")
    return DisputeAlertSnapshot(
        alert_id=fields.required_id(),
        kind=_KINDS.get(raw_kind, AlertKind.UNKNOWN),
        raw_kind=raw_kind,
        amount=_amount(fields),
        payment_id=fields.id("payment_id", "payment"),
        auto_refunded=fields.flag("auto_refunded"),
        fee_charged=bool(charged),
        fee=fields.informational_amount("fee", None),
        reported_at=fields.instant("reported_at", "transaction_date"),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def case_snapshot(document: object) -> CaseSnapshot:
    """Reads one complaint. Raises `UnusableEvent` when its id, status or amount cannot be read."""
    fields = Fields(document, "data")
    shape: Shape = "legacy" if "issue" in fields.raw else "native"
    raw_status = fields.required_word("status")
    payment = fields.child("payment")
    currency = fields.word("currency") or (payment.word("currency") if payment is not None else None)
    outcome = fields.word("outcome")
    if outcome is None and shape == "legacy" and _CASES.get(raw_status) is CaseStatus.CLOSED:
        outcome = raw_status
    return CaseSnapshot(
        case_id=fields.required_id(),
        status=_CASES.get(raw_status, CaseStatus.UNKNOWN),
        raw_status=raw_status,
        payment_id=fields.id("payment_id", "payment"),
        amount=fields.amount("amount", currency),
        reason=fields.word("reason") or fields.word("issue"),
        outcome=outcome,
        refund=fields.word("refund"),
        escalated=bool(fields.flag("escalated")),
        response_due_at=fields.instant("response_due_at", "due_date"),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )


def _amount(fields: Fields) -> Money:
    """A JSON number in major units, with its currency beside it."""
    money = fields.amount("amount", fields.word("currency"))
    if money is None:
        raise unusable(f"{fields.where}.amount", "is missing")
    if money.amount_minor < 0:
        raise unusable(f"{fields.where}.amount", "is negative")
    return money
