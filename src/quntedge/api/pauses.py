"""/api/subscription/pause…: pausing a subscription, giving a pause another end, and what either would mean."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field

from quntedge.api.models import In, Out
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.pauses.rules import LONGEST, Terms
from quntedge.pauses.service import PauseView

router = APIRouter(prefix="/api/subscription", tags=["subscription"])

Days = Annotated[int, Field(ge=1, le=LONGEST.days, description="How many days the pause lasts.", examples=[30])]
Until = Annotated[AwareDatetime, Field(description="When the pause ends by itself.", examples=["2026-12-01T00:00:00Z"])]


class PauseIn(In):
    """How long to pause: `until` a time or for some `days`, not both. Neither: until resumed, where the plan allows."""

    until: Until | None = None
    days: Days | None = None


class PauseOut(Out):
    """A pause. `state` is requested until the payment provider has confirmed it, then running, and ended at last.

    `access_until` null: access is kept. `charge_at`: the next charge, null while nobody knows when the pause ends.
    """

    id: str = Field(examples=["pau_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    state: str = Field(examples=["running"])
    paused_at: datetime | None
    resume_at: datetime | None
    access_until: datetime | None
    charge_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, view: PauseView) -> "PauseOut":
        """A pause as it is sent."""
        return cls(
            id=view.id,
            state=view.state,
            paused_at=view.paused_at,
            resume_at=view.resume_at,
            access_until=view.access_until,
            charge_at=view.charge_at,
            ended_at=view.ended_at,
        )


class PausePreviewOut(Out):
    """What a pause that begins now would mean. `max_until` is the latest end the plan allows, null for none."""

    resume_at: datetime | None
    access_until: datetime | None
    charge_at: datetime | None
    max_until: datetime | None
    open_ended: bool = Field(description="Whether the plan allows a pause without an end.")

    @classmethod
    def of(cls, terms: Terms) -> "PausePreviewOut":
        """The terms as they are sent."""
        return cls(
            resume_at=terms.resume_at,
            access_until=terms.access_until,
            charge_at=terms.charge_at,
            max_until=terms.max_until,
            open_ended=terms.open_ended,
        )


@router.get("/pause/preview", responses=problems(400, 401, 409, 422, 503), summary="What a pause would mean")
async def preview(
    request: Request,
    unit: Unit,
    caller: SignedInCustomer,
    until: Annotated[Until | None, Query()] = None,
    days: Annotated[Days | None, Query()] = None,
) -> PausePreviewOut:
    """Until when there would be access, and when the next charge would come. Nothing is changed.

    Of a subscription that is paused already: what it would mean to give the pause this end.
    """
    terms = await services_of(request).pauses.preview(unit, caller.user_id, until, days)
    return PausePreviewOut.of(terms)


@router.post(
    "/pause",
    dependencies=[audited("subscription.pause")],
    responses=problems(400, 401, 403, 409, 422, 503),
    summary="Pause the subscription",
)
async def pause(request: Request, caller: SignedInCustomer, body: PauseIn) -> PauseOut:
    """Nothing is charged during a pause; access follows the plan. Sending the same request again changes nothing."""
    view = await services_of(request).pauses.pause(caller.user_id, until=body.until, days=body.days)
    return PauseOut.of(view)


@router.patch(
    "/pause",
    dependencies=[audited("subscription.move_pause")],
    responses=problems(400, 401, 403, 409, 422, 503),
    summary="Give a running pause another end",
)
async def move_pause(request: Request, caller: SignedInCustomer, body: PauseIn) -> PauseOut:
    """`days` count from now; neither `until` nor `days` takes the end away, where the plan allows. The pause as a whole
    lasts no longer than the plan allows. Sending the same request again changes nothing."""
    view = await services_of(request).pauses.move(caller.user_id, until=body.until, days=body.days)
    return PauseOut.of(view)


@router.post(
    "/unpause",
    dependencies=[audited("subscription.unpause")],
    responses=problems(400, 401, 403, 409, 503),
    summary="Resume a paused subscription",
)
async def unpause(request: Request, caller: SignedInCustomer) -> PauseOut:
    """Ends the pause now. A period that ran out during the pause is charged at once, and a new one begins."""
    return PauseOut.of(await services_of(request).pauses.resume(caller.user_id))
