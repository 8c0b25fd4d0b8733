"""/api/admin/audit: who did what, and who was denied what."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, Field

from quntedge.api.models import Listing, Out
from quntedge.api.paging import PagingParams
from quntedge.audit import queries
from quntedge.audit.models import AuditEvent
from quntedge.audit.queries import AuditFilter
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.transactions import Unit

router = APIRouter(prefix="/api/admin/audit", tags=["audit"])

READ = "audit:read"
_reader = service(READ)


def _sensible(value: datetime) -> datetime:
    if not 2000 <= value.year < 2200:
        raise ValueError("the year must be from 2000 to 2199")
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_sensible)]
Named = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.:/\-]{1,100}$")]


class AuditEventOut(Out):
    """An act that was done, or denied with the error of this `code`."""

    id: str = Field(examples=["aud_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    at: datetime
    actor_kind: str = Field(examples=["api_key"], description="`customer`, `api_key`, `operator` or `system`.")
    actor: str | None = Field(examples=["key_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    holder: str | None = Field(examples=["staff:kim"], description="The person behind a key or at the terminal.")
    act: str = Field(examples=["refund.approve"])
    subject_kind: str | None = Field(examples=["refund"])
    subject: str | None = Field(examples=["ref_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    outcome: str = Field(examples=["denied"], description="`done` or `denied`.")
    code: str | None = Field(examples=["approval_by_requester"])
    details: dict[str, Any] = Field(description="With `repeats`, the act was denied so many times more.")
    request_id: str | None

    @classmethod
    def of(cls, row: AuditEvent) -> "AuditEventOut":
        """A row of the log."""
        return cls(
            id=row.id,
            at=row.at,
            actor_kind=row.actor_kind,
            actor=row.actor_id,
            holder=row.holder,
            act=row.act,
            subject_kind=row.subject_kind,
            subject=row.subject_id,
            outcome=row.outcome,
            code=row.code,
            details=row.details,
            request_id=row.request_id,
        )


@router.get("", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 422, 503), summary="The audit log")
async def list_audit_events(
    unit: Unit,
    paging: PagingParams,
    actor: Annotated[Named | None, Query(description="Only acts of this customer, key or operator.")] = None,
    holder: Annotated[Named | None, Query(description="Only acts of this person: `staff:kim`.")] = None,
    act: Annotated[Named | None, Query(description="Only this act: `refund.approve`.")] = None,
    subject: Annotated[Named | None, Query(description="Only acts on what has this id or name.")] = None,
    outcome: Annotated[Literal["done", "denied"] | None, Query(description="Only what was done, or denied.")] = None,
    since: Annotated[Moment | None, Query(alias="from", description="Only at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Only before this moment.")] = None,
) -> Listing[AuditEventOut]:
    """Acts, the latest first. Everything given must hold."""
    which = AuditFilter(actor, holder, act, subject, outcome, since, until)
    page = await queries.find(unit.session, which, paging.cursor, paging.limit)
    return Listing[AuditEventOut](data=[AuditEventOut.of(row) for row in page.data], next_cursor=page.next_cursor)
