"""The page that tells the life of a customer's subscriptions, in plain words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.transactions import Unit
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import SubscriptionEvent
from quntedge.web import words
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_PAGE = 20


@router.get("/billing/history")
async def history(request: Request, unit: Unit, caller: SignedInCustomer, cursor: str | None = None) -> Response:
    """Everything that happened to the subscriptions, a page at a time."""
    page = await reads.subscription_events(unit.session, caller.user_id, cursor or None, _PAGE)
    context = {
        "events": await _rows(unit, page.data),
        "next_cursor": page.next_cursor,
        "prev": "/billing/history" if cursor else None,
    }
    return await pages_of(request).page(request, "billing_history.html", context, unit=unit)


async def _rows(unit: UnitOfWork, events: Sequence[SubscriptionEvent]) -> list[dict[str, Any]]:
    wanted = {event.after["plan_id"] for event in events if event.after.get("plan_id")}
    plans = await catalog.plans_by_id(unit.session, wanted)
    return [_row(event, plans) for event in events]


def _row(event: SubscriptionEvent, plans: Mapping[str, PlanView]) -> dict[str, Any]:
    plan = plans.get(event.after.get("plan_id") or "")
    story = words.event(event.kind)
    known = event.after.get(story.date_of) if story.date_of else None
    return {
        "at": event.at,
        "text": story.text,
        "until_label": story.date_label if known else None,
        "until": datetime.fromisoformat(known) if known else None,
        "plan_name": plan.name if plan else None,
        "actor": words.actor(event.actor),
    }
