"""The hosted page of a checkout in mode `setup`: a card is saved, nothing is bought."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.hosted.checkout import EMAIL, GONE
from quntedge.gateway.emulator.life import setups
from quntedge.gateway.emulator.life.returns import setup_return_url
from quntedge.gateway.emulator.rules.cards import CHALLENGE_PASSWORD, CardProblem, read_card
from quntedge.gateway.emulator.state.money_records import SetupIntent
from quntedge.gateway.emulator.state.records import Checkout

_NOTHING = ("Nothing to confirm", "This was already confirmed or given up.", 404)


def _checkout(request: Request) -> Checkout | None:
    checkout = world_of(request).store.tables.checkouts.get(request.path_params["checkout_id"])
    return checkout if checkout is not None and checkout.mode == "setup" else None


def _show(request: Request, typed: dict[str, str], problem: str | None = None, status: int = 200) -> Response:
    title = world_of(request).config.account_title
    values = {
        "title": f"Save a card for {title}",
        "seller": title,
        "typed": {"email": typed.get("email", ""), "name": typed.get("name", "")},
        "problem": problem,
    }
    return pages.page("setup.html", values, status)


async def show(request: Request) -> Response:
    """The form; `?email=` fills in the address."""
    if _checkout(request) is None:
        return pages.notice(*GONE, status=404)
    return _show(request, {"email": request.query_params.get("email", "")})


async def save(request: Request) -> Response:
    """Saves the card, shows why not, or leads to the bank's challenge."""
    world, checkout = world_of(request), _checkout(request)
    form = await pages.form_of(request)
    if checkout is None:
        return pages.notice(*GONE, status=404)
    email, name = form.get("email", "").strip(), form.get("name", "").strip()
    if not EMAIL.fullmatch(email) or len(email) > 254 or len(name) > 100:
        return _show(request, form, "Please give an e-mail address, such as kim@company.com.", 422)
    at = world.now()
    try:
        card = read_card(form.get("card_number", ""), form.get("card_expiry", ""), form.get("card_cvc", ""), at)
    except CardProblem as problem:
        return _show(request, form, str(problem), 422)
    intent = setups.save_card(world, checkout, email, name or None, card, at)
    if intent.status == "requires_action":
        return pages.redirect(f"/setup-challenge/{intent.id}")
    if intent.status == "canceled":
        return _show(request, form, intent.error_message, 402)
    return _leave(intent)


def _leave(intent: SetupIntent) -> Response:
    target = setup_return_url(intent.return_url, intent)
    if target is not None:
        return pages.redirect(target)
    return pages.notice("Thank you", "Your card was saved. You can close this page.")


def _challenged(request: Request) -> SetupIntent | None:
    intent = world_of(request).store.tables.setup_intents.get(request.path_params["intent_id"])
    return intent if intent is not None and intent.status == "requires_action" else None


async def show_challenge(request: Request) -> Response:
    """The bank's page."""
    if _challenged(request) is None:
        return pages.notice(*_NOTHING)
    values = {"title": "Confirm your card", "amount": "nothing today", "password": CHALLENGE_PASSWORD}
    return pages.page("challenge.html", values)


async def answer_challenge(request: Request) -> Response:
    """Takes the password: the card is saved, or it is not."""
    world, intent = world_of(request), _challenged(request)
    form = await pages.form_of(request)
    if intent is None:
        return pages.notice(*_NOTHING)
    passed = form.get("password") == CHALLENGE_PASSWORD
    setups.answer_challenge(world, intent, world.now(), passed=passed)
    if passed:
        return _leave(intent)
    if intent.checkout_id is None:
        return pages.notice("Not confirmed", intent.error_message or "", 402)
    values = {"title": "Not confirmed", "text": intent.error_message, "again": f"/setup/{intent.checkout_id}"}
    return pages.page("again.html", values, 402)


ROUTES = [
    Route("/setup/{checkout_id}", show),
    Route("/setup/{checkout_id}", save, methods=["POST"]),
    Route("/setup-challenge/{intent_id}", show_challenge),
    Route("/setup-challenge/{intent_id}", answer_challenge, methods=["POST"]),
]
