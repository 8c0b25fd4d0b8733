"""What happens to a membership by its owner's hand: the claim page of a transfer, and short cuts under `/_control`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, find, runtime_of, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.life import memberships, purchases, switching, transfers
from quntedge.gateway.emulator.state.records import Membership, Person
from quntedge.gateway.emulator.wire.errors import ApiFault, invalid, not_found


def _person(world: World, email: str, name: str | None) -> Person:
    if "@" not in email or len(email) > 254:
        raise invalid("This is not an e-mail address.")
    return purchases.person_for(world, email, name, world.now())


def _claim_page(request: Request, membership: Membership, problem: str | None = None) -> Response:
    world = world_of(request)
    values = {
        "title": "Take over a membership",
        "seller": world.config.account_title,
        "product": world.store.tables.products[membership.product_id].title,
        "problem": problem,
    }
    return pages.page("transfer.html", values, 422 if problem else 200)


async def show_claim(request: Request) -> Response:
    """The page behind the link of POST /memberships/{id}/transfer."""
    try:
        _, membership = transfers.open_offer(world_of(request), request.path_params["token"])
    except ApiFault:
        return pages.notice("Not found", "This link leads nowhere, or was used.", 404)
    return _claim_page(request, membership)


async def claim(request: Request) -> Response:
    """Whoever posts an address there becomes the owner."""
    world, form = world_of(request), await pages.form_of(request)
    try:
        _, membership = transfers.open_offer(world, request.path_params["token"])
    except ApiFault:
        return pages.notice("Not found", "This link leads nowhere, or was used.", 404)
    try:
        person = _person(world, form.get("email", "").strip(), form.get("name", "").strip()[:100] or None)
        transfers.claim(world, request.path_params["token"], person, world.now())
    except ApiFault as problem:
        return _claim_page(request, membership, problem.message)
    return pages.redirect(f"/billing/manage/{membership.member_id}/")


def _find(request: Request) -> Membership:
    return find(world_of(request).store.tables.memberships, request, "Membership")


async def transfer(request: Request) -> Response:
    """POST /_control/memberships/{id}/transfer: `email`, if wanted `name`. Somebody else owns it from now on."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    email, name = fields.needed_text("email", longest=254), fields.text("name", longest=100)
    fields.done()
    transfers.move(world, membership, _person(world, email, name), world.now())
    return answer(world.buyers.membership(membership))


async def switch_plan(request: Request) -> Response:
    """POST /_control/memberships/{id}/switch_plan: `plan_id`. What the buyer does on the portal page."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    plan = world.store.tables.plans.get(fields.needed_text("plan_id"))
    fields.done()
    if plan is None:
        raise not_found("Plan")
    switching.switch(world, membership, plan, world.now())
    return answer(world.buyers.membership(membership))


async def end_trial(request: Request) -> Response:
    """POST /_control/memberships/{id}/end_trial: it ends now; answers after what follows."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    membership = _find(request)
    fields.done()
    at = runtime.world.now()
    memberships.end_trial(runtime.world, membership, at)
    await runtime.timeline.advance(at)
    return answer(runtime.world.buyers.membership(membership))


PAGE_ROUTES = [
    Route("/transfer/{token}", show_claim),
    Route("/transfer/{token}", claim, methods=["POST"]),
]
CONTROL_ROUTES = [
    Route("/memberships/{id}/transfer", transfer, methods=["POST"]),
    Route("/memberships/{id}/switch_plan", switch_plan, methods=["POST"]),
    Route("/memberships/{id}/end_trial", end_trial, methods=["POST"]),
]
