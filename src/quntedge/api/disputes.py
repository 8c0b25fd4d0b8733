"""/api/admin/disputes…: payments that buyers contest, and what we answer, for those who run the installation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.dispute_models import (
    AlarmListOut,
    AlarmNoteIn,
    AlarmOut,
    AlertListOut,
    AlertOut,
    DisputeDetailOut,
    DisputeFileOut,
    DisputeListOut,
    DisputeOut,
    EvidenceIn,
    ResponseOut,
)
from quntedge.api.paging import PagingParams
from quntedge.disputes import alarms, queries
from quntedge.disputes.answers import ResponseView, new_response_id
from quntedge.disputes.errors import DisputeNotFound
from quntedge.disputes.models import Dispute
from quntedge.disputes.package import as_zip
from quntedge.disputes.queries import DisputeFilter
from quntedge.disputes.rules import STATUSES
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.dispute_file import dispute_file
from quntedge.edge.dispute_papers import dispute_papers, for_bank
from quntedge.edge.filters import id_filter
from quntedge.edge.idempotent import IdempotencyKey, Outcome, once
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.errors import InvalidRequest
from quntedge.storage.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/admin", tags=["disputes"])

READ, WRITE = "disputes:read", "disputes:write"
_reader = service(READ)
_writer = service(WRITE)
Answerer = Annotated[ApiKeyCaller, Depends(_writer)]


class UnknownDisputeStatus(InvalidRequest):
    """The list was asked for a status that no dispute can have."""

    code = "unknown_dispute_status"
    title = "There is no such status"


@router.get(
    "/disputes", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="All disputes"
)
async def list_disputes(
    unit: Unit,
    paging: PagingParams,
    status: Annotated[str | None, Query(description=f"One of {', '.join(STATUSES)}.")] = None,
    waiting: Annotated[bool, Query(description="Only those that wait for evidence, by their deadline.")] = False,
    user: Annotated[str | None, Query(description="Only those of this customer.", max_length=64)] = None,
    transaction: Annotated[str | None, Query(description="Only those of this payment.", max_length=64)] = None,
) -> DisputeListOut:
    """Disputes and inquiries, the newest first."""
    if status is not None and status not in STATUSES:
        raise UnknownDisputeStatus(f"status must be one of {', '.join(STATUSES)}.")
    user_id, transaction_id = id_filter("user", user, "usr"), id_filter("transaction", transaction, "txn")
    wanted = DisputeFilter(status, user_id, transaction_id, waiting)
    page = await queries.disputes(unit.session, wanted, paging.limit, paging.cursor)
    return DisputeListOut(data=[DisputeOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.get(
    "/disputes/{dispute_id}",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    summary="One dispute",
)
async def get_dispute(unit: Unit, dispute_id: str) -> DisputeDetailOut:
    """A dispute by its id here or at Whop, with what was answered and what somebody has to look at."""
    row = await _found(unit, dispute_id)
    answered = await queries.responses(unit.session, row.id)
    raised = await queries.alarms_about(unit.session, row)
    sent = await queries.documents(unit.session, row.id)
    return DisputeDetailOut.of_all(row, answered, raised, sent)


@router.get(
    "/disputes/{dispute_id}/evidence",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    summary="The evidence as it would be sent",
)
async def preview_evidence(request: Request, unit: Unit, dispute_id: str) -> DisputeFileOut:
    """What our records say, by Whop's places for it, and what they do not tell. Holds personal data."""
    found = await dispute_file(services_of(request), unit, await _found(unit, dispute_id))
    return DisputeFileOut.of(found)


@router.get(
    "/disputes/{dispute_id}/evidence.zip",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503) | {200: {"content": {"application/zip": {}}}},
    response_class=Response,
    summary="The evidence as a ZIP",
)
async def download_evidence(request: Request, unit: Unit, dispute_id: str) -> Response:
    """Everything on record as PDF and JSON, the log of access and the mails by themselves, the invoice and its credit
    notes, and the texts for Whop, in one archive. Holds personal data."""
    row = await _found(unit, dispute_id)
    name, transaction_id = row.id, row.transaction_id
    found = await dispute_file(services_of(request), unit, row)
    await unit.rollback()
    archive = as_zip(*await dispute_papers(services_of(request), found, transaction_id))
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(archive, media_type="application/zip", headers=headers)


@router.post(
    "/disputes/{dispute_id}/submit",
    dependencies=[audited("dispute.submit", "dispute", "dispute_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 502, 503),
    summary="Send the evidence to the bank",
)
async def submit_evidence(
    request: Request, caller: Answerer, dispute_id: str, body: EvidenceIn, idempotency_key: IdempotencyKey = None
) -> ResponseOut:
    """Sends our records, with these remarks and as files, to the bank. That is final: nothing can be added afterwards.
    Files that somebody attached in Whop's dashboard go along.

    `state` is `done`, or `requested` while Whop has not answered clearly; then it is gone on with by itself.
    """
    services = services_of(request)

    async def work(response_id: str) -> Outcome:
        async with services.units() as unit:
            row = await _found(unit, dispute_id)
            found = await dispute_file(services, unit, row, notes=body.notes, refusal=body.refund_refusal)
            internal_id, transaction_id = row.id, row.transaction_id
            await unit.rollback()
        found, papers = await dispute_papers(services, found, transaction_id)
        answers = services.disputes.answers
        sent = for_bank(papers, hanging=await answers.hanging(internal_id))
        view = await answers.submit(internal_id, found.texts, sent, key=response_id, actor=_actor(caller))
        return _outcome(view)

    request_body = {"dispute": dispute_id, **body.model_dump()}
    return await _once(request, caller, idempotency_key, "dispute.submit", request_body, work)


@router.post(
    "/disputes/{dispute_id}/accept",
    dependencies=[audited("dispute.accept", "dispute", "dispute_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 502, 503),
    summary="Concede a dispute",
)
async def accept_dispute(
    request: Request, caller: Answerer, dispute_id: str, idempotency_key: IdempotencyKey = None
) -> ResponseOut:
    """Concedes a chargeback: it is lost, for good, and what the plan says of lost disputes happens."""
    services = services_of(request)

    async def work(response_id: str) -> Outcome:
        async with services.units() as unit:
            internal_id = (await _found(unit, dispute_id)).id
            await unit.rollback()
        return _outcome(await services.disputes.answers.accept(internal_id, key=response_id, actor=_actor(caller)))

    return await _once(request, caller, idempotency_key, "dispute.accept", {"dispute": dispute_id}, work)


@router.get(
    "/dispute-alerts", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="All alerts"
)
async def list_alerts(unit: Unit, paging: PagingParams) -> AlertListOut:
    """Warnings that payments are about to be disputed, the newest first."""
    page = await queries.alerts(unit.session, paging.limit, paging.cursor)
    return AlertListOut(data=[AlertOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.get(
    "/dispute-alarms",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 503),
    summary="What somebody has to look at",
)
async def list_alarms(
    unit: Unit,
    paging: PagingParams,
    resolved: Annotated[bool, Query(description="Also those that somebody has resolved.")] = False,
) -> AlarmListOut:
    """Money paid out twice, deadlines that are near, warnings to act upon, answers that were refused."""
    page = await queries.alarms(unit.session, resolved=resolved, limit=paging.limit, cursor=paging.cursor)
    return AlarmListOut(data=[AlarmOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.post(
    "/dispute-alarms/{alarm_id}/resolve",
    dependencies=[audited("dispute.resolve_alarm", "dispute_alarm", "alarm_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Say what became of an alarm",
)
async def resolve_alarm(unit: Unit, caller: Answerer, alarm_id: str, body: AlarmNoteIn) -> AlarmOut:
    """Closes an alarm with a note. Who closed it is kept."""
    return AlarmOut.of(await alarms.resolve(unit, alarm_id, by=_actor(caller), note=body.note))


async def _found(unit: UnitOfWork, dispute_id: str) -> Dispute:
    row = await queries.dispute(unit.session, dispute_id)
    if row is None:
        raise DisputeNotFound("There is no dispute with this id; ids of disputes begin with dsp_ here, dspt_ at Whop.")
    return row


async def _once(
    request: Request,
    caller: ApiKeyCaller,
    key: str | None,
    operation: str,
    body: Mapping[str, Any],
    work: Callable[[str], Awaitable[Outcome]],
) -> ResponseOut:
    services = services_of(request)
    answer = await once(services, _actor(caller), key, operation, body, new_response_id(services.clock.now()), work)
    return ResponseOut.model_validate(answer)


def _outcome(view: ResponseView) -> Outcome:
    return Outcome(ResponseOut.of(view).model_dump(mode="json"), final=view.state != "requested")


def _actor(caller: ApiKeyCaller) -> str:
    return f"service:{caller.key_id}"
