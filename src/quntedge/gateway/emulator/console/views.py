"""The console for people: what there is, what was delivered, and buttons for everything that can be made to happen.

It is a client of the emulator's own API and control API: a page shows what a program would be told.
"""

from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import runtime_of, world_of
from quntedge.gateway.emulator.console import events
from quntedge.gateway.emulator.console.events import delivery_row
from quntedge.gateway.emulator.console.frame import PAGE_SIZE, SEARCHED, console_of, linked, page_number, render
from quntedge.gateway.emulator.console.inner import ask
from quntedge.gateway.emulator.console.kinds import BY_SLUG, KINDS, Cell, Kind, badge, ref, search, when
from quntedge.gateway.emulator.core.agenda import Kind as Happening
from quntedge.gateway.emulator.core.world import World

_SOON = 8
_RECENT = 10
_LOOKED_AT = 2_000
"""How many of the newest deliveries, or of the next happenings, are looked through for those that matter."""


async def show(request: Request) -> Response:
    """The start page."""
    runtime = runtime_of(request)
    world = runtime.world
    tables = world.store.tables
    values = {
        "config": world.config,
        "kept": runtime.kept,
        "soon": _soon(world),
        "bare": not tables.plans,
        "deliveries": [delivery_row(world, one) for one in islice(reversed(tables.deliveries.values()), _RECENT)],
        "endpoints": list(tables.endpoints.values()),
        "waiting": sum(message.next_attempt_at is not None for message in tables.messages.values()),
        "memberships": _table(world, BY_SLUG["memberships"], islice(reversed(tables.memberships.values()), _RECENT)),
    }
    return render(request, "console_home.html", "Overview", values)


def _soon(world: World) -> list[dict[str, object]]:
    words = {Happening.MEMBERSHIP: "membership renews or ends", Happening.TRIAL_NOTICE: "trial's end is announced"}
    found = []
    for happening in islice(world.agenda.upcoming(), _LOOKED_AT):
        if world.is_current(happening):
            what = words.get(happening.kind, happening.kind.replace("_", " "))
            found.append({"at": when(happening.at), "what": what, "about": ref(world, happening.object_id)})
        if len(found) == _SOON:
            break
    return found


def _table(world: World, kind: Kind, rows: Any) -> dict[str, object]:
    return {
        "slug": kind.slug,
        "head": [name for name, _ in kind.columns],
        "rows": [(row.id, [show(world, row) for _, show in kind.columns]) for row in rows],
    }


async def list_objects(request: Request) -> Response:
    """One page of one kind of object, newest first."""
    world, kind = world_of(request), BY_SLUG.get(request.path_params["kind"])
    if kind is None:
        return render(request, "console_missing.html", "Not found", {}, 404)
    wanted, status = request.query_params.get("q", "")[:200], request.query_params.get("status", "")[:60]
    number = page_number(request)
    rows = kind.rows(world)
    candidates = islice(reversed(rows.values()), SEARCHED if wanted or status else None)
    found = search(world, candidates, wanted, status)
    shown = list(islice(found, (number - 1) * PAGE_SIZE, number * PAGE_SIZE + 1))
    values = {
        "kind": kind,
        "count": len(rows),
        "q": wanted,
        "status": status,
        "statuses": _statuses(rows),
        "page": number,
        "more": len(shown) > PAGE_SIZE,
        "table": _table(world, kind, shown[:PAGE_SIZE]),
    }
    return render(request, "console_list.html", kind.label, values)


def _statuses(rows: dict[str, Any]) -> list[str]:
    newest = islice(reversed(rows.values()), SEARCHED)
    return sorted({row.status for row in newest if hasattr(row, "status")})


async def show_object(request: Request) -> Response:
    """One object as the API shows it, with links, what belongs to it, its deliveries and its buttons."""
    world, kind = world_of(request), BY_SLUG.get(request.path_params["kind"])
    record = None if kind is None else kind.rows(world).get(request.path_params["id"])
    if kind is None or record is None:
        return render(request, "console_missing.html", "Not found", {}, 404)
    answered = await ask(console_of(request).api, "GET", f"/{kind.path}/{record.id}")
    values = {
        "kind": kind,
        "record": record,
        "status": record.status.replace("_", " ") if hasattr(record, "status") else None,
        "badge": badge,
        "address": f"GET {world.config.api_base_url}/{kind.path}/{record.id}",
        "json": linked(world, answered.body) if answered.ok else None,
        "facts": list(zip((name for name, _ in kind.columns), _cells(world, kind, record), strict=True)),
        "related": [_table(world, BY_SLUG[slug], rows) for slug, rows in _related(world, kind, record)],
        "labels": {one.slug: one.label for one in KINDS},
        "deliveries": _about(world, record.id),
    }
    return render(request, "console_object.html", record.id, values)


def _cells(world: World, kind: Kind, record: Any) -> list[Cell]:
    return [show(world, record) for _, show in kind.columns]


def _related(world: World, kind: Kind, record: Any) -> list[tuple[str, list[Any]]]:
    store = world.store
    found: list[tuple[str, list[Any]]] = []
    match kind.slug:
        case "members":
            found = [
                ("memberships", store.memberships_of(record.id)),
                ("payments", store.payments_by(record.id)),
                ("methods", store.methods_of(record.id)),
            ]
        case "memberships":
            found = [("payments", list(islice(store.payments_of(record.id), PAGE_SIZE))[::-1])]
        case "payments":
            disputes = [one for one in store.tables.disputes.values() if one.payment_id == record.id]
            found = [("refunds", store.refunds_of(record.id)), ("disputes", disputes)]
        case "products":
            found = [("plans", [plan for plan in store.tables.plans.values() if plan.product_id == record.id])]
        case "plans":
            found = [("checkouts", [one for one in store.tables.checkouts.values() if one.plan_id == record.id])]
    return [(slug, list(reversed(rows))[:PAGE_SIZE]) for slug, rows in found if rows]


def _about(world: World, record_id: str) -> list[dict[str, object]]:
    newest = islice(reversed(world.store.tables.deliveries.values()), _LOOKED_AT)
    return [delivery_row(world, one) for one in islice((one for one in newest if record_id in one.body), _RECENT)]


async def show_copies(request: Request) -> Response:
    """Snapshots and branches."""
    shelf = runtime_of(request).shelf
    values = {
        "snapshots": [(name, saved) for name, saved in reversed(shelf.snapshots.items())],
        "branches": list(shelf.branches.items()),
    }
    return render(request, "console_copies.html", "Snapshots and branches", values)


async def show_faults(request: Request) -> Response:
    """What is to go wrong, and what did."""
    answered = await ask(console_of(request).controls, "GET", "/faults")
    return render(request, "console_faults.html", "Faults", {"faults": answered.body})


PAGES = [
    Route("/", show),
    *events.PAGES,
    Route("/console/copies", show_copies),
    Route("/console/faults", show_faults),
    Route("/console/{kind}", list_objects),
    Route("/console/{kind}/{id}", show_object),
]
