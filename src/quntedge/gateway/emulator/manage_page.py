"""The buyer's portal behind `manage_url`. Whop asks the buyer to sign in first; the emulator does not."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import memberships, pages, purchases, renewals
from quntedge.gateway.emulator.cards import CardProblem, read_card
from quntedge.gateway.emulator.errors import ApiFault
from quntedge.gateway.emulator.records import Member, Membership
from quntedge.gateway.emulator.requests import world_of


def _member(request: Request) -> Member | None:
    return world_of(request).store.tables.members.get(request.path_params["member_id"])


def _memberships(request: Request, member: Member) -> list[Membership]:
    return list(reversed(world_of(request).store.memberships_of(member.id)))


def _show(request: Request, member: Member, problem: str | None = None, status: int = 200) -> Response:
    world = world_of(request)
    tables = world.store.tables
    rows = [
        {
            "id": membership.id,
            "plan": tables.plans[membership.plan_id].title or tables.products[membership.product_id].title,
            "status": membership.status,
            "canceling": membership.cancel_at_period_end and not membership.ended,
            "cancelable": not membership.ended and membership.current_period_end is not None,
            "period_end": membership.current_period_end,
        }
        for membership in _memberships(request, member)
    ]
    values = {
        "title": "Your purchases",
        "seller": world.config.account_title,
        "email": tables.people[member.user_id].email,
        "cards": [f"{m.brand.title()} {m.last4}" for m in world.store.methods_of(member.id)],
        "rows": rows,
        "problem": problem,
    }
    return pages.page("manage.html", values, status)


async def show(request: Request) -> Response:
    """The portal page."""
    member = _member(request)
    if member is None:
        return pages.notice("Not found", "There is no such customer.", 404)
    return _show(request, member)


async def act(request: Request) -> Response:
    """Cancels at period end, withdraws that, or replaces the card of everything that still renews."""
    world, member = world_of(request), _member(request)
    form = await pages.form_of(request)
    if member is None:
        return pages.notice("Not found", "There is no such customer.", 404)
    try:
        if form.get("action") == "card":
            _replace_card(request, member, form)
        else:
            chosen = world.store.tables.memberships.get(form.get("membership_id", ""))
            if chosen is None or chosen.member_id != member.id or form.get("action") not in ("cancel", "keep"):
                return _show(request, member, "This cannot be done.", 400)
            memberships.set_cancel_flag(world, chosen, world.now(), form["action"] == "cancel")
    except (CardProblem, ApiFault) as problem:
        return _show(request, member, str(problem), 422)
    return pages.redirect(f"/billing/manage/{member.id}/")


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
