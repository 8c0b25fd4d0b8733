"""/api/admin/refunds…: giving money back, for the tools of those who run the installation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, status
from pydantic import ConfigDict, Field

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.models import CurrencyCode, In, Listing, MoneyOut, Out
from quntedge.api.paging import PagingParams
from quntedge.audit.log import about
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.filters import id_filter
from quntedge.edge.idempotent import IdempotencyKey, Outcome, once
from quntedge.edge.openapi import problems
from quntedge.edge.services import Services, services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.money import MAX_AMOUNT_MINOR, InvalidMoney, Money
from quntedge.refunds import queries, rules
from quntedge.refunds.models import Refund, RefundEvent
from quntedge.refunds.queries import Filter
from quntedge.refunds.rules import RefundReason

router = APIRouter(prefix="/api/admin/refunds", tags=["refunds"])

READ, REQUEST, APPROVE = "refunds:read", "refunds:request", "refunds:approve"
OPERATION = "refunds.request"
_reader = service(READ)
Requester = Annotated[ApiKeyCaller, Depends(service(REQUEST))]
Approver = Annotated[ApiKeyCaller, Depends(service(APPROVE))]

Status = Literal[
    "requested",
    "approved",
    "sending",
    "unknown",
    "pending",
    "requires_action",
    "succeeded",
    "failed",
    "canceled",
    "rejected",
]
Note = Annotated[str | None, Field(max_length=4 * rules.NOTE_MAXIMUM, description="For your own eyes; kept sealed.")]


class AmountIn(In):
    """An exact amount. Whole numbers only: no text, no fractions."""

    amount_minor: int = Field(strict=True, le=MAX_AMOUNT_MINOR, ge=-MAX_AMOUNT_MINOR, examples=[1000])
    currency: CurrencyCode

    def money(self) -> Money:
        """The amount. Raises `InvalidRefund` for a currency that does not exist."""
        try:
            return Money(self.amount_minor, self.currency)
        except InvalidMoney as error:
            raise rules.invalid("amount.currency", f"{error}.") from None


class RefundIn(In):
    """What to give back of which payment."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "transaction": "txn_01k4a2f0e8f9xa3s6m1q2r7v5z",
                    "amount": {"amount_minor": 1000, "currency": "usd"},
                    "reason": "goodwill",
                }
            ]
        },
    )

    transaction: str = Field(min_length=1, max_length=64, description="Id of the payment.")
    amount: AmountIn | None = Field(None, description="Without it all that is left goes back.")
    reason: str = Field(
        RefundReason.REQUESTED.value, max_length=40, description=f"One of {', '.join(rules.FOR_STAFF)}."
    )
    note: Note = None


class DecisionIn(In):
    """What there is to say about a decision."""

    note: Note = None


class AdminRefundOut(Out):
    """A refund. `requested_by` is null for one that was made at Whop.

    `requested` waits for a second person; `sending` and `unknown` have been sent, and Whop has not said what became of
    them: that is being found out; `pending` and `requires_action` are under way; the others are ends.
    """

    id: str
    status: str = Field(examples=["pending"])
    transaction: str
    user: str
    amount: MoneyOut
    reason: str | None = Field(examples=["goodwill"])
    requested_by: str | None = Field(examples=["staff:kim"])
    requested_at: datetime | None
    approval_required: bool = Field(description="Whether a second person has to agree, or had to.")
    approved_by: str | None
    approved_at: datetime | None
    rejected_by: str | None
    rejected_at: datetime | None
    whop_refund: str | None
    failure_reason: str | None
    failure_detail: str | None
    occurred_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Refund) -> "AdminRefundOut":
        """A refund row."""
        return cls(
            id=row.id,
            status=row.status,
            transaction=row.transaction_id,
            user=row.user_id,
            amount=MoneyOut(amount_minor=row.amount_minor, currency=row.currency),
            reason=row.reason,
            requested_by=row.requested_by,
            requested_at=row.requested_at,
            approval_required=row.approval_required,
            approved_by=row.approved_by,
            approved_at=row.approved_at,
            rejected_by=row.rejected_by,
            rejected_at=row.rejected_at,
            whop_refund=row.whop_refund_id,
            failure_reason=row.failure_reason,
            failure_detail=row.failure_detail,
            occurred_at=row.occurred_at,
            updated_at=row.updated_at,
        )


class RefundEventOut(Out):
    """One thing that happened to a refund, or was denied to somebody (then with the error's code)."""

    at: datetime
    kind: str = Field(examples=["moved"], description="`moved` or `denied`.")
    actor: str
    before: str | None
    after: str | None
    code: str | None

    @classmethod
    def of(cls, row: RefundEvent) -> "RefundEventOut":
        """A row of the history."""
        return cls(at=row.at, kind=row.kind, actor=row.actor, before=row.before, after=row.after, code=row.code)


class RefundDetailOut(AdminRefundOut):
    """A refund with what was said about it, everything that happened to it, and what is left of its payment."""

    note: str | None
    decision_note: str | None
    left: MoneyOut = Field(description="What of the payment is neither back nor promised.")
    history: list[RefundEventOut]


@router.get("", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 422, 503), summary="Refunds")
async def list_admin_refunds(
    unit: Unit,
    paging: PagingParams,
    status: Annotated[list[Status] | None, Query(description="May be repeated.")] = None,
    user: Annotated[str | None, Query(max_length=64)] = None,
    transaction: Annotated[str | None, Query(max_length=64)] = None,
    requested_by: Annotated[str | None, Query(max_length=100)] = None,
) -> Listing[AdminRefundOut]:
    """Refunds, newest first; of all kinds unless filtered. `status=requested` is what waits for a second person."""
    which = Filter(
        statuses=status,
        user_id=id_filter("user", user, "usr"),
        transaction_id=id_filter("transaction", transaction, "txn"),
        requested_by=requested_by,
    )
    page = await queries.find(unit.session, which, paging.cursor, paging.limit)
    return Listing(data=[AdminRefundOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[audited("refund.request", "payment")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Give money back",
)
async def create_refund(
    request: Request, caller: Requester, body: RefundIn, idempotency_key: IdempotencyKey = None
) -> AdminRefundOut:
    """Asks for a refund and sends it, or lets it wait for a second person above `QUNTEDGE_REFUND_APPROVAL_ABOVE`.

    From this moment on its amount is held: no other request can promise it again.
    """
    services = services_of(request)
    amount = body.amount.money() if body.amount is not None else None
    about("payment", body.transaction)

    async def work(refund_id: str) -> Outcome:
        row = await services.refunds.desk.request(
            body.transaction, key=refund_id, actor=caller.person, amount=amount, reason=body.reason, note=body.note
        )
        return Outcome(AdminRefundOut.of(row).model_dump(mode="json"))

    answer = await once(
        services,
        f"service:{caller.key_id}",
        idempotency_key,
        OPERATION,
        body.model_dump(mode="json"),
        services.refunds.desk.new_refund_id(),
        work,
    )
    return AdminRefundOut.model_validate(answer)


@router.get(
    "/{refund_id}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 503), summary="One refund"
)
async def get_admin_refund(request: Request, unit: Unit, refund_id: str) -> RefundDetailOut:
    """A refund with its notes and its history."""
    row = await queries.one(unit.session, refund_id)
    return await _detail(services_of(request), unit, row, await queries.events(unit.session, refund_id))


@router.post(
    "/{refund_id}/approve",
    dependencies=[audited("refund.approve", "refund", "refund_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Agree to a refund",
)
async def approve_refund(request: Request, caller: Approver, refund_id: str, body: DecisionIn) -> AdminRefundOut:
    """Sends a refund that waits for a second person. Whoever asked for it cannot be that person."""
    desk = services_of(request).refunds.desk
    return AdminRefundOut.of(await desk.approve(refund_id, actor=caller.person, note=body.note))


@router.post(
    "/{refund_id}/reject",
    dependencies=[audited("refund.reject", "refund", "refund_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Turn a refund down",
)
async def reject_refund(request: Request, caller: Approver, refund_id: str, body: DecisionIn) -> AdminRefundOut:
    """Nothing is given back, and the amount is free again."""
    desk = services_of(request).refunds.desk
    return AdminRefundOut.of(await desk.reject(refund_id, actor=caller.person, note=body.note))


async def _detail(services: Services, unit: Unit, row: Refund, history: Sequence[RefundEvent]) -> RefundDetailOut:
    note, decision_note = await services.refunds.desk.notes(unit, row)
    payment = await queries.payment(unit.session, row.transaction_id)
    standing = await queries.standing(unit.session, payment)
    return RefundDetailOut(
        **AdminRefundOut.of(row).model_dump(),
        note=note,
        decision_note=decision_note,
        left=MoneyOut.of(standing.left),
        history=[RefundEventOut.of(event) for event in history],
    )
