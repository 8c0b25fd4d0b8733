"""The hosted checkout: where the seller sends the buyer, and where card numbers are typed."""

import re
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.life import promotions, purchases
from quntedge.gateway.emulator.life.returns import return_url
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.cards import CHALLENGE_PASSWORD, CardProblem, read_card
from quntedge.gateway.emulator.rules.pricing import price
from quntedge.gateway.emulator.state.records import Checkout, Payment, Plan, Promo
from quntedge.gateway.emulator.wire.errors import ApiFault

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
GONE = ("This checkout is not available", "The link is wrong, was withdrawn, or the plan is no longer sold.")
_TAX_WORDS = {"inclusive": "(included)", "exclusive": "(added)"}
_FIELDS = ("email", "name", "card_number", "card_expiry", "card_cvc")


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a checkout address leads to."""

    plan: Plan
    checkout: Checkout | None
    promo: Promo | None = None
    country: str | None = None


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
    tables = world.store.tables
    product = tables.products[desk.plan.product_id]
    trial = bool(desk.plan.trial_period_days)
    then = pages.price_lines(desk.plan, trial=trial)[1]
    cost = price(tables, desk.plan, first_charge(desk.plan, trial=trial), desk.promo, desk.country)
    due = cost.total.format()
    values = {
        "title": f"Pay {world.config.account_title}",
        "seller": world.config.account_title,
        "product": product.title,
        "plan": desk.plan.title or product.title,
        "description": desk.plan.description,
        "due": due,
        "discount": cost.discount.format() if cost.discount else None,
        "tax": None if cost.tax is None else f"{cost.tax.amount.format()} {_TAX_WORDS[cost.tax.behavior]}",
        "countries": sorted(tables.tax_rates),
        "then": then,
        "trial": trial,
        # The card is never sent back into the page, as any real checkout does.
        "typed": {name: typed.get(name, "") for name in ("email", "name", "promo_code", "country")},
        "problem": problem,
    }
    return pages.page("checkout.html", values, status)


async def show(request: Request) -> Response:
    """The form; `?email=`, `?promo_code=` and `?country=` fill it in."""
    desk, query = _desk(request), request.query_params
    if desk is None:
        return pages.notice(*GONE, status=404)
    return _show_terms(request, desk, {name: query.get(name, "") for name in ("email", "promo_code", "country")})


def _show_terms(request: Request, desk: _Desk, typed: dict[str, str]) -> Response:
    try:
        return _show(request, _with_terms(request, desk, typed), typed)
    except ApiFault as problem:
        return _show(request, desk, typed, problem.message)


def _with_terms(request: Request, desk: _Desk, typed: dict[str, str]) -> _Desk:
    """The desk with the code and the country the buyer typed. Raises ApiFault 400 for a code that cannot be used."""
    world = world_of(request)
    country = typed.get("country", "").strip().lower()
    promo = promotions.look_up(world, typed.get("promo_code"))
    if promo is not None:
        person = world.store.person_by_email(typed.get("email", "").strip().casefold())
        promotions.check(world, promo, desk.plan, person, world.now())
    return replace(desk, promo=promo, country=country if country in world.store.tables.tax_rates else None)


async def pay(request: Request) -> Response:
    """Pays, shows why not, or leads to the bank's challenge. The button `apply` only counts the price again."""
    world, desk = world_of(request), _desk(request)
    form = await pages.form_of(request)
    if desk is None:
        return pages.notice(*GONE, status=404)
    if form.get("action") == "apply":
        return _show_terms(request, desk, form)
    email, name = form.get("email", "").strip(), form.get("name", "").strip()
    if not EMAIL.fullmatch(email) or len(email) > 254:
        return _show(request, desk, form, "Please give an e-mail address, such as kim@company.com.", 422)
    if len(name) > 100:
        return _show(request, desk, form, "Please give a name of at most 100 characters.", 422)
    at = world.now()
    try:
        desk = _with_terms(request, desk, form)
        number, expiry, cvc = (form.get(field, "") for field in _FIELDS[2:])
        card = read_card(number, expiry, cvc, at)
    except (CardProblem, ApiFault) as problem:
        return _show(request, desk, form, str(problem), 422)
    order = purchases.Order(desk.plan, desk.checkout, email, card, name or None, desk.promo, desk.country)
    outcome = purchases.buy(world, order, at)
    if outcome.kind == "declined":
        return _show(request, desk, form, outcome.payment.failure_message, 402)
    if outcome.kind == "challenge":
        return pages.redirect(f"/challenge/{outcome.payment.id}")
    return _leave(request, outcome.payment)


def _leave(request: Request, payment: Payment) -> Response:
    checkout = world_of(request).store.tables.checkouts.get(payment.checkout_id or "")
    target = return_url(payment.return_url if checkout is None else checkout.redirect_url, payment)
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
    if payment.membership_id is not None or payment.by_api:
        return pages.notice("Not confirmed", payment.failure_message or "", 402)
    session = f"?session={payment.checkout_id}" if payment.checkout_id else ""
    page = f"/checkout/{payment.plan_id}{session}" if payment.invoice_id is None else f"/invoice/{payment.invoice_id}"
    values = {"title": "Not confirmed", "text": payment.failure_message, "again": page}
    return pages.page("again.html", values, 402)


ROUTES = [
    Route("/checkout/{plan_id}", show),
    Route("/checkout/{plan_id}", pay, methods=["POST"]),
    Route("/challenge/{payment_id}", show_challenge),
    Route("/challenge/{payment_id}", answer_challenge, methods=["POST"]),
]
