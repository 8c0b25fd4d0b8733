"""The hosted checkout: where the seller sends the buyer, and where card numbers are typed."""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import pages, purchases
from quntedge.gateway.emulator.cards import CHALLENGE_PASSWORD, CardProblem, read_card
from quntedge.gateway.emulator.control import return_url
from quntedge.gateway.emulator.records import Checkout, Payment, Plan
from quntedge.gateway.emulator.requests import world_of

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_GONE = ("This checkout is not available", "The link is wrong, was withdrawn, or the plan is no longer sold.")
_FIELDS = ("email", "name", "card_number", "card_expiry", "card_cvc")


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a checkout address leads to."""

    plan: Plan
    checkout: Checkout | None


def _desk(request: Request) -> _Desk | None:
    """None when the plan is unknown or archived, or the session is unknown, withdrawn or of another plan."""
    tables = world_of(request).store.tables
    plan = tables.plans.get(request.path_params["plan_id"])
    if plan is None or plan.visibility == "archived":
        return None
    session = request.query_params.get("session")
    checkout = tables.checkouts.get(session or "")
    if session is not None and (checkout is None or checkout.plan_id != plan.id):
        return None
    return _Desk(plan, checkout)


def _show(
    request: Request, desk: _Desk, typed: dict[str, str], problem: str | None = None, status: int = 200
) -> Response:
    world = world_of(request)
    product = world.store.tables.products[desk.plan.product_id]
    trial = bool(desk.plan.trial_period_days)
    due, then = pages.price_lines(desk.plan, trial=trial)
    values = {
        "title": f"Pay {world.config.account_title}",
        "seller": world.config.account_title,
        "product": product.title,
        "plan": desk.plan.title or product.title,
        "description": desk.plan.description,
        "due": due,
        "then": then,
        "trial": trial,
        # The card is never sent back into the page, as any real checkout does.
        "typed": {"email": typed.get("email", ""), "name": typed.get("name", "")},
        "problem": problem,
    }
    return pages.page("checkout.html", values, status)


async def show(request: Request) -> Response:
    """The form; `?email=` fills in the address."""
    desk = _desk(request)
    if desk is None:
        return pages.notice(*_GONE, status=404)
    return _show(request, desk, {"email": request.query_params.get("email", "")})


async def pay(request: Request) -> Response:
    """Pays, shows why not, or leads to the bank's challenge."""
    world, desk = world_of(request), _desk(request)
    form = await pages.form_of(request)
    if desk is None:
        return pages.notice(*_GONE, status=404)
    email, name = form.get("email", "").strip(), form.get("name", "").strip()
    if not EMAIL.fullmatch(email) or len(email) > 254:
        return _show(request, desk, form, "Please give an e-mail address, such as kim@company.com.", 422)
    if len(name) > 100:
        return _show(request, desk, form, "Please give a name of at most 100 characters.", 422)
    at = world.now()
    try:
        number, expiry, cvc = (form.get(field, "") for field in _FIELDS[2:])
        card = read_card(number, expiry, cvc, at)
    except CardProblem as problem:
        return _show(request, desk, form, str(problem), 422)
    outcome = purchases.buy(world, purchases.Order(desk.plan, desk.checkout, email, card, name or None), at)
    if outcome.kind == "declined":
        return _show(request, desk, form, outcome.payment.failure_message, 402)
    if outcome.kind == "challenge":
        return pages.redirect(f"/challenge/{outcome.payment.id}")
    return _leave(request, outcome.payment)


def _leave(request: Request, payment: Payment) -> Response:
    checkout = world_of(request).store.tables.checkouts.get(payment.checkout_id or "")
    target = None if checkout is None else return_url(checkout.redirect_url, payment)
    if target is not None:
        return pages.redirect(target)
    return pages.notice("Thank you", f"Your payment {payment.id} went through. You can close this page.")


def _challenged(request: Request) -> Payment | None:
    payment = world_of(request).store.tables.payments.get(request.path_params["payment_id"])
    waiting = payment is not None and payment.status == "open" and payment.substatus == "incomplete"
    return payment if waiting else None


async def show_challenge(request: Request) -> Response:
    """The bank's page of the 3-D Secure test card."""
    payment = _challenged(request)
    if payment is None:
        return pages.notice("Nothing to confirm", "This payment was already confirmed or given up.", 404)
    values = {"title": "Confirm your payment", "amount": payment.total.format(), "password": CHALLENGE_PASSWORD}
    return pages.page("challenge.html", values)


async def answer_challenge(request: Request) -> Response:
    """Takes the password of the challenge: the payment goes through, or fails and may be tried again."""
    world, payment = world_of(request), _challenged(request)
    form = await pages.form_of(request)
    if payment is None:
        return pages.notice("Nothing to confirm", "This payment was already confirmed or given up.", 404)
    passed = form.get("password") == CHALLENGE_PASSWORD
    purchases.answer_challenge(world, payment, world.now(), passed=passed)
    if passed:
        return _leave(request, payment)
    session = f"?session={payment.checkout_id}" if payment.checkout_id else ""
    values = {
        "title": "Not confirmed",
        "text": payment.failure_message,
        "again": f"/checkout/{payment.plan_id}{session}",
    }
    return pages.page("again.html", values, 402)


ROUTES = [
    Route("/checkout/{plan_id}", show),
    Route("/checkout/{plan_id}", pay, methods=["POST"]),
    Route("/challenge/{payment_id}", show_challenge),
    Route("/challenge/{payment_id}", answer_challenge, methods=["POST"]),
]
