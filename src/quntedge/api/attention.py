"""/api/admin/attention: what waits for a person."""

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import Field

from quntedge.api.models import Out
from quntedge.edge.attention import Matter, matters
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.transactions import Unit

router = APIRouter(prefix="/api/admin/attention", tags=["operations"])

_reader = service("subscription:read")


class MatterOut(Out):
    """Something that goes on no further without a person."""

    kind: str = Field(
        examples=["withdrawal_not_ended"],
        description="`withdrawal_not_ended`, `paid_after_the_end`, `unpaid_and_unclear`, `paid_twice`, "
        "`change_unfinished`, `status_unclear` or `process_stuck`.",
    )
    subject: str = Field(examples=["wdr_01k4a2f0e8f9xa3s6m1q2r7v5z"], description="What it is about.")
    user: str | None = Field(examples=["usr_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    subscription: str | None = Field(examples=["sub_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    since: datetime
    detail: str | None = Field(description="What is known of the cause.")
    advice: str = Field(description="What to do about it.")

    @classmethod
    def of(cls, matter: Matter) -> "MatterOut":
        """A matter as it is answered."""
        return cls(
            kind=matter.kind.value,
            subject=matter.subject_id,
            user=matter.user_id,
            subscription=matter.subscription_id,
            since=matter.since,
            detail=matter.detail,
            advice=matter.advice,
        )


class AttentionOut(Out):
    """At most 200 of each kind, what waits longest first."""

    data: list[MatterOut]


@router.get("", dependencies=[Depends(_reader)], responses=problems(401, 403, 503), summary="What waits for a person")
async def attention(unit: Unit) -> AttentionOut:
    """Everything that goes on by itself no further, with what to do about it. Mending the cause takes it off."""
    found = await matters(unit.session, unit.clock.now())
    return AttentionOut(data=[MatterOut.of(matter) for matter in found])
