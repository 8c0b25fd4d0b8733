"""The pricing page."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.edge import reads
from quntedge.edge.callers import Guest, PageGuest, anyone
from quntedge.edge.transactions import Unit
from quntedge.kit.crypto import random_token
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import LIVE
from quntedge.trials.queries import tried_plans
from quntedge.web import promotions, words
from quntedge.web.i18n import gettext
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
    visitor = await _visitor(unit, guest)
    typed = await promotions.typed(request, unit, guest, plans)
    if visitor.live is not None and typed.offers:
        problem = gettext("Codes are for a new purchase. A change of plan has a price of its own.")
        typed = promotions.Typed(typed.code, problem)
    cards = [_card(plan, visitor) | {"offer": promotions.card(typed.offers.get(plan.code), plan)} for plan in plans]
    context = {"plans": cards, "promotion": typed, "takes_codes": visitor.live is None}
    return await pages_of(request).page(request, "pricing.html", context, unit=unit)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is looking: signed in or not, the plan of their live subscription, the gateway's plans they have tried."""

    signed_in: bool = False
    live: PlanView | None = None
    tried: frozenset[str] = frozenset()


async def _visitor(unit: UnitOfWork, guest: Guest) -> Visitor:
    if guest.user is None:
        return Visitor()
    user_id, now = guest.user.user_id, unit.clock.now()
    current = await reads.current_subscription(unit.session, user_id, now)
    live = current[1] if current is not None and current[0].status in LIVE else None
    return Visitor(True, live, await tried_plans(unit.session, user_id, now))


def _card(plan: PlanView, visitor: Visitor) -> dict[str, Any]:
    action = plan_action(plan, visitor)
    return {
        "code": plan.code,
        "name": plan.name,
        "tagline": plan.tagline,
        "price": plan.price if plan.kind != "free" else None,
        "interval_label": words.interval(plan),
        "once": plan.kind == "lifetime",
        "renewal_label": words.renewal(plan),
        "per_month_label": words.per_month(plan),
        "trial_days": 0 if visitor.live is not None or plan.whop_plan_id in visitor.tried else plan.trial_days,
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


def plan_action(plan: PlanView, visitor: Visitor) -> str:
    """What a visitor can do with a plan: choose, start_free, change (to it), nothing (current, unavailable).

    Somebody without a subscription is on the free plan; somebody with one changes to another, unless it is theirs for
    ever or its rules leave the other out.
    """
    live = visitor.live
    if live is not None:
        if plan.id == live.id:
            return "current"
        is_open = live.kind != "lifetime" and live.rules.change.allows(plan.code)
        return "change" if is_open and (plan.sellable or plan.kind == "free") else "unavailable"
    if plan.kind == "free":
        return "current" if visitor.signed_in else "start_free"
    return "choose" if plan.sellable else "unavailable"
