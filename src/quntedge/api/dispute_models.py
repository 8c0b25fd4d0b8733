"""What the API sends and reads about contested payments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from quntedge.api.models import In, Listing, MoneyOut, Out, amount
from quntedge.disputes.alarms import LONGEST_NOTE
from quntedge.disputes.answers import ResponseView
from quntedge.disputes.evidence import LONGEST_TEXT, DisputeFile
from quntedge.disputes.models import Dispute, DisputeAlarm, DisputeAlert, DisputeDocument, DisputeResponse

# PostgreSQL cannot store NUL.
_STORABLE = r"^[^\x00]*$"


class DisputeOut(Out):
    """A payment that its buyer's bank disputes; with `inquiry` it only asks, and no money moves.

    `withdrawn` is what Whop holds back or has taken because of it. `acceptable`: it can be conceded.
    """

    id: str = Field(examples=["dsp_01k6a9zvx0e3z8q9y4w2c7b5nd"])
    whop_dispute_id: str = Field(examples=["dspt_8Hq2"])
    user_id: str
    transaction_id: str
    subscription_id: str | None
    status: str = Field(examples=["needs_response"])
    inquiry: bool
    amount: MoneyOut
    withdrawn: MoneyOut
    fee: MoneyOut | None
    reason: str | None = Field(examples=["fraudulent"])
    reason_code: str | None = Field(examples=["10.4"])
    evidence_due_at: datetime | None
    evidence_submitted_at: datetime | None
    editable: bool
    acceptable: bool
    opened_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, row: Dispute) -> "DisputeOut":
        """A dispute as it is stored."""
        return cls(
            id=row.id,
            whop_dispute_id=row.whop_dispute_id,
            user_id=row.user_id,
            transaction_id=row.transaction_id,
            subscription_id=row.subscription_id,
            status=row.status,
            inquiry=row.inquiry,
            amount=MoneyOut(amount_minor=row.amount_minor, currency=row.currency),
            withdrawn=MoneyOut(amount_minor=row.withdrawn_minor, currency=row.currency),
            fee=amount(row.fee_minor, row.fee_currency) if row.fee_currency is not None else None,
            reason=row.reason,
            reason_code=row.reason_code,
            evidence_due_at=row.evidence_due_at,
            evidence_submitted_at=row.evidence_submitted_at,
            editable=row.editable,
            acceptable=row.acceptable,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
        )


class DisputeListOut(Listing[DisputeOut]):
    """A page of disputes."""


class ResponseOut(Out):
    """An answer to a dispute. `requested`: Whop has not answered clearly yet; it is gone on with by itself."""

    id: str = Field(examples=["dre_01k6a9zvx0e3z8q9y4w2c7b5nd"])
    kind: str = Field(description="evidence or accept.", examples=["evidence"])
    state: str = Field(description="requested, done or failed.", examples=["done"])
    actor: str = Field(examples=["service:key_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    requested_at: datetime
    ended_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, view: ResponseView) -> "ResponseOut":
        """An answer as it stands."""
        return cls(
            id=view.id,
            kind=view.kind,
            state=view.state,
            actor=view.actor,
            requested_at=view.requested_at,
            ended_at=view.ended_at,
            error=view.error,
        )


class AlarmOut(Out):
    """Something that somebody has to look at. It is open until somebody resolves it."""

    id: str = Field(examples=["dal_01k6a9zvx0e3z8q9y4w2c7b5nd"])
    kind: str = Field(examples=["double_loss"])
    subject_id: str = Field(description="The dispute, payment, alert or complaint it is about.")
    user_id: str | None
    transaction_id: str | None
    amount: MoneyOut | None
    detail: str
    raised_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None

    @classmethod
    def of(cls, row: DisputeAlarm) -> "AlarmOut":
        """An alarm as it is stored."""
        return cls(
            id=row.id,
            kind=row.kind,
            subject_id=row.subject_id,
            user_id=row.user_id,
            transaction_id=row.transaction_id,
            amount=amount(row.amount_minor, row.currency) if row.currency is not None else None,
            detail=row.detail,
            raised_at=row.raised_at,
            resolved_at=row.resolved_at,
            resolved_by=row.resolved_by,
            note=row.note,
        )


class AlarmListOut(Listing[AlarmOut]):
    """A page of alarms."""


class DocumentOut(Out):
    """A file that went, or is going, to the bank."""

    id: str = Field(examples=["ddo_01k6a9zvx0e3z8q9y4w2c7b5nd"])
    response_id: str
    name: str = Field(examples=["evidence.pdf"])
    document_type: str = Field(description="What it proves, in Whop's words.", examples=["digital_fulfillment"])
    content_type: str = Field(examples=["application/pdf"])
    size_bytes: int
    sha256: str
    state: str = Field(
        description="planned, announced, uploaded, attached, sent, or not_sent when its answer failed.",
        examples=["sent"],
    )
    whop_file_id: str | None = Field(examples=["file_8Hq2"])
    ended_at: datetime | None

    @classmethod
    def of(cls, row: DisputeDocument) -> "DocumentOut":
        """A file as it is stored, without its content."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class DisputeDetailOut(DisputeOut):
    """A dispute with what was answered and with which files, oldest first, and what was raised about it or its
    payment."""

    responses: list[ResponseOut]
    documents: list[DocumentOut]
    alarms: list[AlarmOut]

    @classmethod
    def of_all(
        cls,
        row: Dispute,
        responses: Sequence[DisputeResponse],
        alarms: Sequence[DisputeAlarm],
        documents: Sequence[DisputeDocument],
    ) -> "DisputeDetailOut":
        """A dispute with all that belongs to it."""
        return cls(
            **dict(DisputeOut.of(row)),
            responses=[ResponseOut.of(ResponseView.of(one)) for one in responses],
            documents=[DocumentOut.of(one) for one in documents],
            alarms=[AlarmOut.of(one) for one in alarms],
        )


class AlertOut(Out):
    """A warning that a payment is about to be disputed. Without a transaction nobody could tell which payment."""

    id: str = Field(examples=["dpa_01k6a9zvx0e3z8q9y4w2c7b5nd"])
    whop_alert_id: str = Field(examples=["dspa_2Kd9"])
    kind: str = Field(examples=["early_fraud_warning"])
    user_id: str | None
    transaction_id: str | None
    amount: MoneyOut
    auto_refunded: bool = Field(description="Whop has given the payment back because of it.")
    fee: MoneyOut | None
    occurred_at: datetime

    @classmethod
    def of(cls, row: DisputeAlert) -> "AlertOut":
        """An alert as it is stored."""
        return cls(
            id=row.id,
            whop_alert_id=row.whop_alert_id,
            kind=row.kind,
            user_id=row.user_id,
            transaction_id=row.transaction_id,
            amount=MoneyOut(amount_minor=row.amount_minor, currency=row.currency),
            auto_refunded=row.auto_refunded,
            fee=amount(row.fee_minor, row.fee_currency) if row.fee_currency is not None else None,
            occurred_at=row.occurred_at,
        )


class AlertListOut(Listing[AlertOut]):
    """A page of alerts."""


class HappeningOut(Out):
    """Something that happened."""

    at: datetime
    what: str
    detail: str


class SectionOut(Out):
    """A part of the file: facts by name, then what happened when."""

    key: str = Field(examples=["payment"])
    title: str
    facts: dict[str, str]
    happenings: list[HappeningOut]


class DisputeFileOut(Out):
    """Everything on record about a dispute. `texts` are what is sent, by Whop's places; `missing` is not on record."""

    dispute_id: str
    texts: dict[str, str]
    sections: list[SectionOut]
    missing: list[str]

    @classmethod
    def of(cls, file: DisputeFile) -> "DisputeFileOut":
        """The file as it is sent."""
        return cls(
            dispute_id=file.dispute_id,
            texts=dict(file.texts.given()),
            sections=[
                SectionOut(
                    key=section.key,
                    title=section.title,
                    facts=dict(section.facts),
                    happenings=[
                        HappeningOut(at=one.at, what=one.what, detail=one.detail) for one in section.happenings
                    ],
                )
                for section in file.sections
            ],
            missing=list(file.missing),
        )


class EvidenceIn(In):
    """What a person adds to the evidence before it is sent."""

    notes: Annotated[
        str | None,
        Field(max_length=LONGEST_TEXT, pattern=_STORABLE, description="For the bank; without it a summary of ours."),
    ] = None
    refund_refusal: Annotated[
        str | None,
        Field(max_length=LONGEST_TEXT, pattern=_STORABLE, description="Why a refund was refused, if one was asked."),
    ] = None


class AlarmNoteIn(In):
    """What became of an alarm."""

    note: Annotated[str, Field(min_length=1, max_length=LONGEST_NOTE, pattern=_STORABLE)]
