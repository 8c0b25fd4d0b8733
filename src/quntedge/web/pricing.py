"""The pricing page."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.edge import reads
from quntedge.edge.callers import PageGuest, anyone
from quntedge.edge.transactions import Unit
from quntedge.kit.crypto import random_token
from quntedge.subscriptions.models import LIVE
from quntedge.web import promotions, words
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_ATTEMPT_BYTES = 16


@router.get("/", dependencies=[Depends(anyone)])
async def home() -> RedirectResponse:
    """Everything begins with what there is to buy."""
    return RedirectResponse("/pricing", status_code=303)


@router.get("/pricing")
async def pricing(request: Request, unit: Unit, guest: PageGuest) -> Response:
    """The plans, each with the one thing this visitor can do with it."""
    plans = await catalog.plans(unit.session)
    live_plan_id = None
    if guest.user is not None:
        current = await reads.current_subscription(unit.session, guest.user.user_id, unit.clock.now())
        live_plan_id = current[0].plan_id if current and current[0].status in LIVE else None
    typed = await promotions.typed(request, unit, guest, plans)
    cards = [
        _card(plan, signed_in=guest.user is not None, live_plan_id=live_plan_id)
        | {"offer": promotions.card(typed.offers.get(plan.code), plan)}
        for plan in plans
    ]
    context = {"plans": cards, "promotion": typed}
    return await pages_of(request).page(request, "pricing.html", context, unit=unit)


def _card(plan: PlanView, *, signed_in: bool, live_plan_id: str | None) -> dict[str, Any]:
    action = plan_action(plan, signed_in=signed_in, live_plan_id=live_plan_id)
    return {
        "code": plan.code,
        "name": plan.name,
        "tagline": plan.tagline,
        "price": plan.price if plan.kind != "free" else None,
        "interval_label": words.interval(plan),
        "once": plan.kind == "lifetime",
        "renewal_label": words.renewal(plan),
        "per_month_label": words.per_month(plan),
        "trial_days": plan.trial_days,
        "highlighted": plan.highlighted,
        "features": [
            {
                "name": feature.name,
                "description": feature.description,
                "label": words.feature_label(feature),
                "worth": words.feature_worth(feature),
            }
            for feature in plan.features
        ],
        "is_current": action == "current",
        "action": action,
        "attempt": random_token(_ATTEMPT_BYTES),
    }


def plan_action(plan: PlanView, *, signed_in: bool, live_plan_id: str | None) -> str:
    """What a visitor can do with a plan: choose, start_free, nothing (current, unavailable).

    Somebody without a subscription is on the free plan; somebody with one must end it before buying another.
    """
    if plan.id == live_plan_id:
        return "current"
    if plan.kind == "free":
        if not signed_in:
            return "start_free"
        return "current" if live_plan_id is None else "unavailable"
    return "choose" if plan.sellable and live_plan_id is None else "unavailable"
