"""The buyer's portal behind `manage_url`. Whop asks the buyer to sign in first; the emulator does not."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.life import memberships, purchases, renewals, switching, transfers
from quntedge.gateway.emulator.rules.cards import CardProblem, read_card
from quntedge.gateway.emulator.shapes.sellers import formatted_price
from quntedge.gateway.emulator.state.records import Member, Membership
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request


def _member(request: Request) -> Member | None:
    return world_of(request).store.tables.members.get(request.path_params["member_id"])


def _memberships(request: Request, member: Member) -> list[Membership]:
    return list(reversed(world_of(request).store.memberships_of(member.id)))


def _row(world: World, membership: Membership) -> dict[str, object]:
    tables = world.store.tables
    return {
        "id": membership.id,
        "plan": tables.plans[membership.plan_id].title or tables.products[membership.product_id].title,
        "status": membership.status,
        "canceling": membership.cancel_at_period_end and not membership.ended,
        "cancelable": not membership.ended and membership.current_period_end is not None,
        "period_end": membership.current_period_end,
        "transferable": membership.status in transfers.TRANSFERABLE,
        "offers": [
            {"id": plan.id, "title": plan.title or plan.id, "price": formatted_price(plan)}
            for plan in switching.offers(world, membership)
        ],
    }


def _show(
    request: Request, member: Member, problem: str | None = None, status: int = 200, link: str | None = None
) -> Response:
    world = world_of(request)
    values = {
        "title": "Your purchases",
        "seller": world.config.account_title,
        "email": world.store.tables.people[member.user_id].email,
        "cards": [f"{m.brand.title()} {m.last4}" for m in world.store.methods_of(member.id)],
        "rows": [_row(world, membership) for membership in _memberships(request, member)],
        "reasons": world.store.tables.preferences.get("feedback_options", []),
        "problem": problem,
        "link": link,
    }
    return pages.page("manage.html", values, status)


async def show(request: Request) -> Response:
    """The portal page."""
    member = _member(request)
    if member is None:
        return pages.notice("Not found", "There is no such customer.", 404)
    return _show(request, member)


async def act(request: Request) -> Response:
    """What a buyer can do: cancel at period end, withdraw that, take another plan or card, hand a membership on."""
    world, member = world_of(request), _member(request)
    form = await pages.form_of(request)
    if member is None:
        return pages.notice("Not found", "There is no such customer.", 404)
    try:
        if form.get("action") == "card":
            _replace_card(request, member, form)
            return pages.redirect(f"/billing/manage/{member.id}/")
        chosen = world.store.tables.memberships.get(form.get("membership_id", ""))
        if chosen is None or chosen.member_id != member.id:
            return _show(request, member, "This cannot be done.", 400)
        link = _act_on(world, chosen, form)
    except (CardProblem, ApiFault) as problem:
        return _show(request, member, str(problem), 422)
    return pages.redirect(f"/billing/manage/{member.id}/") if link is None else _show(request, member, link=link)


def _act_on(world: World, membership: Membership, form: dict[str, str]) -> str | None:
    """Does one thing; returns a link to be shown, if that is what was asked for. Raises ApiFault."""
    at = world.now()
    match form.get("action"):
        case "cancel":
            reason = memberships.reason_for(world.store.tables, None, form.get("reason") or None)
            memberships.set_cancel_flag(world, membership, at, True, reason=reason)
        case "keep":
            memberships.set_cancel_flag(world, membership, at, False)
        case "switch":
            plan = world.store.tables.plans.get(form.get("plan_id", ""))
            if plan is None or plan not in switching.offers(world, membership):
                raise bad_request("The membership cannot change to this plan.")
            switching.switch(world, membership, plan, at)
        case "transfer" if membership.status in transfers.TRANSFERABLE:
            return transfers.offer(world, membership, at)
        case _:
            raise bad_request("This cannot be done.")
    return None


def _replace_card(request: Request, member: Member, form: dict[str, str]) -> None:
    world = world_of(request)
    at = world.now()
    typed = read_card(form.get("card_number", ""), form.get("card_expiry", ""), form.get("card_cvc", ""), at)
    method = purchases.store_card(world, member, typed, at)
    for membership in _memberships(request, member):
        if not membership.ended and membership.current_period_end is not None:
            renewals.replace_method(world, membership, method.id, at)


ROUTES = [
    Route("/billing/manage/{member_id}/", show),
    Route("/billing/manage/{member_id}/", act, methods=["POST"]),
]
