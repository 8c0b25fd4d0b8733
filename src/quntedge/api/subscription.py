"""GET /api/subscription…: the catalogue, where a user stands, and the history."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from quntedge.access.rules import decide
from quntedge.api.models import (
    AccessCheckIn,
    AccessCheckOut,
    DecisionOut,
    Listing,
    PlanOut,
    StandingOut,
    SubscriptionEventOut,
    SubscriptionOut,
)
from quntedge.api.paging import PagingParams
from quntedge.catalog import queries as catalog
from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer, anyone, customer_or_service, service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.standing import standing_of
from quntedge.edge.transactions import Unit
from quntedge.kit.errors import Malformed

MAX_PAIRS = 100

router = APIRouter(prefix="/api/subscription", tags=["subscription"])

UserAsked = Annotated[str, Depends(customer_or_service("subscription:read"))]


@router.get("/plans", dependencies=[Depends(anyone)], responses=problems(503), summary="The plans on sale")
async def list_plans(unit: Unit) -> Listing[PlanOut]:
    """The catalogue with features and prices, in the order in which it is shown."""
    return Listing[PlanOut](data=[PlanOut.of(plan) for plan in await catalog.plans(unit.session)])


@router.get("", responses=problems(400, 401, 403, 503), summary="Where a user stands")
async def current(request: Request, unit: Unit, user_id: UserAsked) -> StandingOut:
    """The current subscription, what it opens, and what is wrong with it, if anything is."""
    standing = await standing_of(services_of(request), unit, user_id)
    return StandingOut(
        user=user_id,
        subscription=SubscriptionOut.of(standing.subscription, standing.plan)
        if standing.subscription and standing.plan
        else None,
        features={code: DecisionOut.of(decision) for code, decision in standing.decisions.items()},
        problem=standing.problem,
    )


@router.get("/events", responses=problems(400, 401, 503), summary="The history of a customer's subscriptions")
async def events(unit: Unit, caller: SignedInCustomer, paging: PagingParams) -> Listing[SubscriptionEventOut]:
    """Every change, newest first."""
    page = await reads.subscription_events(unit.session, caller.user_id, paging.cursor, paging.limit)
    return Listing[SubscriptionEventOut](
        data=[SubscriptionEventOut.of(row) for row in page.data], next_cursor=page.next_cursor
    )


@router.post(
    "/access/check",
    dependencies=[Depends(service("access:read"))],
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="May these users use these features?",
)
async def check_access(request: Request, body: AccessCheckIn) -> AccessCheckOut:
    """Every user with every feature, from one look at the database."""
    if len(body.users) * len(body.features) > MAX_PAIRS:
        message = f"users × features must be at most {MAX_PAIRS}; ask in several requests."
        raise Malformed(message, errors=[{"field": "users", "message": message}])
    access = services_of(request).access
    snapshots = await access.snapshots(body.users)
    now = access.clock.now()
    return AccessCheckOut(
        users={
            snapshot.user_id: {feature: DecisionOut.of(decide(snapshot, feature, now)) for feature in body.features}
            for snapshot in snapshots
        }
    )
