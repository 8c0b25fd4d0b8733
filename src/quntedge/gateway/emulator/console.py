"""A small console for people: what there is, what was delivered, and buttons that move the clock."""

from datetime import timedelta
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import pages
from quntedge.gateway.emulator.control import add_months
from quntedge.gateway.emulator.errors import bad_request
from quntedge.gateway.emulator.requests import runtime_of, world_of
from quntedge.gateway.emulator.world import World

_SHOWN = 25
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


async def show(request: Request) -> Response:
    """The console page."""
    runtime = runtime_of(request)
    world = runtime.world
    values = {
        "title": "Whop emulator",
        "now": world.now(),
        "account_id": world.config.account_id,
        "api_base_url": world.config.api_base_url,
        "memberships": _memberships(world),
        "payments": _payments(world),
        "deliveries": _deliveries(world),
        "endpoints": list(world.store.tables.endpoints.values()),
        "waiting": sum(m.next_attempt_at is not None for m in world.store.tables.messages.values()),
        "counts": {
            name: len(getattr(world.store.tables, name))
            for name in ("memberships", "payments", "refunds", "members", "plans")
        },
    }
    return pages.page("console.html", values)


def _memberships(world: World) -> list[dict[str, object]]:
    tables = world.store.tables
    return [
        {
            "id": membership.id,
            "email": tables.people[membership.user_id].email,
            "plan": tables.plans[membership.plan_id].title or membership.plan_id,
            "status": membership.status + (" (canceling)" if membership.cancel_at_period_end else ""),
            "period_end": membership.current_period_end,
            "manage": f"/billing/manage/{membership.member_id}/",
            "renews": membership.due_at is not None and not membership.ended,
            "declines_ahead": membership.declines_ahead,
        }
        for membership in islice(reversed(tables.memberships.values()), _SHOWN)
    ]


def _payments(world: World) -> list[dict[str, object]]:
    return [
        {
            "id": payment.id,
            "at": payment.created_at,
            "total": payment.total.format(),
            "status": f"{payment.status} / {payment.substatus}",
            "reason": payment.billing_reason,
        }
        for payment in islice(reversed(world.store.tables.payments.values()), _SHOWN)
    ]


def _deliveries(world: World) -> list[dict[str, object]]:
    return [
        {
            "at": delivery.created_at,
            "event": delivery.event,
            "code": delivery.response_code or "no answer",
            "success": delivery.success,
            "message_id": delivery.message_id,
        }
        for delivery in islice(reversed(world.store.tables.deliveries.values()), _SHOWN)
    ]


async def advance(request: Request) -> Response:
    """A button of the console: one hour, day, week or month."""
    runtime, form = runtime_of(request), await pages.form_of(request)
    now, step = runtime.world.now(), form.get("step", "")
    if step == "month":
        await runtime.timeline.advance(add_months(now, 1))
    elif step in _STEPS:
        await runtime.timeline.advance(now + _STEPS[step])
    else:
        raise bad_request("`step` must be hour, day, week or month.")
    return pages.redirect("/")


async def decline(request: Request) -> Response:
    """A button of the console: the next renewal of one membership is declined."""
    world, form = world_of(request), await pages.form_of(request)
    membership = world.store.tables.memberships.get(form.get("membership_id", ""))
    if membership is None:
        raise bad_request("There is no such membership.")
    membership.declines_ahead = 0 if membership.declines_ahead else 1
    world.store.changes += 1
    return pages.redirect("/")


async def drop(request: Request) -> Response:
    """A button of the console: the next webhook message is lost."""
    runtime_of(request).dispatcher.faults.drop_next += 1
    return pages.redirect("/")


ROUTES = [
    Route("/", show),
    Route("/console/advance", advance, methods=["POST"]),
    Route("/console/decline", decline, methods=["POST"]),
    Route("/console/drop", drop, methods=["POST"]),
]
