"""Promotion codes on pages: typed on the pricing page, shown before paying, and what is left of one later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.catalog.queries import PlanView
from quntedge.edge.audited import audited
from quntedge.edge.callers import Guest, SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money
from quntedge.pricing.labels import line_text, share_text
from quntedge.pricing.preview import Preview
from quntedge.pricing.rules import Price
from quntedge.promotions import errors
from quntedge.promotions.queries import running
from quntedge.promotions.reserving import Offer
from quntedge.promotions.rules import HOLD
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import words
from quntedge.web.i18n import date, gettext, home, moment, money, ngettext, spoken
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

REFUSALS = (
    errors.PromotionCodeMalformed,
    errors.PromotionCodeUnknown,
    errors.PromotionNotStarted,
    errors.PromotionExpired,
    errors.PromotionUsedUp,
    errors.PromotionUsedByCustomer,
    errors.PromotionFirstPurchaseOnly,
    errors.PromotionNotForPlan,
    errors.PromotionNotForCurrency,
)
"""Why a code cannot be used; the pricing page says it in the reader's language."""
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Typed:
    """What a visitor typed into the pricing page's field, and what came of it. `offers` by the plan's code."""

    code: str = ""
    problem: str | None = None
    offers: Mapping[str, Offer] = field(default_factory=dict)


async def typed(request: Request, unit: UnitOfWork, guest: Guest, plans: Sequence[PlanView]) -> Typed:
    """The code in the address, tried with every plan that can be bought."""
    code = request.query_params.get("code", "").strip()[:_LONGEST_SHOWN]
    services = services_of(request)
    if not code or services.checkout.discounts is None:
        return Typed()
    user_id = None if guest.user is None else guest.user.user_id
    # Guessing codes is what this page would be good for.
    services.limits.hit(Limit.PROMOTION, user_id or services.clients.bucket(request.scope))
    try:
        found = await services.checkout.discounts.offers(unit, code, [p for p in plans if p.sellable], user_id)
    except REFUSALS as error:
        return Typed(code, words.promotion_problem(error.code))
    offers = {plan: offer for plan, offer in found.items() if isinstance(offer, Offer)}
    problems = [offer for offer in found.values() if isinstance(offer, QuntedgeError)]
    if not offers:
        return Typed(code, words.promotion_problem(problems[0].code if problems else ""))
    return Typed(next(iter(offers.values())).code, None, offers)


def pricing_with(code: str) -> str:
    """The pricing page with this code typed in."""
    return f"/pricing?code={quote(code[:_LONGEST_SHOWN])}#plans"


def card(offer: Offer | None, plan: PlanView) -> dict[str, Any] | None:
    """What a plan's card shows of an offer: every line of the first charge of the plan, and what comes after."""
    if offer is None:
        return None
    first = offer.preview.first
    return {
        "lines": rows(first),
        "price": first.total,
        "total_label": gettext("First payment") if offer.preview.today != first else gettext("Today"),
        "after": after(offer.preview, words.interval(plan)),
    }


def rows(price: Price) -> list[dict[str, Any]]:
    """The lines of a price as pages show them."""
    return [{"text": line_text(line, spoken(), home()), "amount": line.amount} for line in price.lines]


def after(shown: Preview, interval: str) -> str | None:
    """What is charged after the first payment, in a sentence; None where nothing is."""
    if shown.regular is None:
        return None
    trial = ""
    if shown.today != shown.first:
        trial = gettext("Nothing is charged before %(day)s.", day=date(shown.first_at)) + " "
    if shown.discounted_charges is None:
        return trial + gettext(
            "Every renewal costs %(price)s %(interval)s.", price=_net(shown.first), interval=interval
        )
    more = shown.discounted_charges - 1
    if more < 1:
        return trial + gettext("After that %(price)s %(interval)s.", price=_net(shown.regular), interval=interval)
    return trial + ngettext(
        "The next payment costs the same, after that %(price)s %(interval)s.",
        "The next %(n)s payments cost the same, after that %(price)s %(interval)s.",
        more,
        price=_net(shown.regular),
        interval=interval,
    )


def _net(price: Price) -> str:
    return money(price.total)


@router.get("/checkout/{checkout_id}/pay", dependencies=[audited("checkout.read", "checkout", "checkout_id")])
async def pay(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> Response:
    """What the purchase costs, line by line, and the code to type on the payment page. One without a code, and one
    that is not open any more, has nothing to show here."""
    checkouts = services_of(request).checkout
    view = await checkouts.get(unit, caller.user_id, checkout_id)
    if view.payment_code is None or view.purchase_url is None:
        return RedirectResponse(f"/checkout/{view.id}", status_code=303)
    shown = await checkouts.preview(unit, caller.user_id, checkout_id)
    context = {
        "intent": view,
        "lines": rows(shown.first),
        "total": shown.first.total,
        "total_label": gettext("First payment") if shown.today != shown.first else gettext("Today"),
        "trial_ends": shown.first_at if shown.today != shown.first else None,
        "renews": shown.regular is not None,
        "discounted_charges": shown.discounted_charges,
        "regular": None if shown.regular is None else shown.regular.total,
        "until": moment(view.created_at + HOLD),
    }
    return await pages_of(request).page(request, "checkout_code.html", context, unit=unit)


@router.post("/checkout/{checkout_id}/abandon", dependencies=[audited("checkout.abandon", "checkout", "checkout_id")])
async def abandon(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> Response:
    """Gives a purchase up and leads back to the plans."""
    await services_of(request).checkout.abandon(unit, caller.user_id, checkout_id)
    return RedirectResponse("/pricing", status_code=303)


async def running_promotion(unit: UnitOfWork, whop_membership_id: str | None) -> dict[str, str] | None:
    """The promotion that lowers the next payments of a subscription, in words; None where none does."""
    found = None if whop_membership_id is None else await running(unit.session, whop_membership_id)
    if found is None:
        return None
    off = share_text(found.percent_bp, spoken()) if found.percent_bp is not None else money(found.off)
    return {
        "label": gettext("%(code)s: %(off)s off", code=found.code, off=off),
        "text": _left(found.left, found.price, found.regular),
    }


def _left(left: int | None, price: Money, regular: Money) -> str:
    if left is None:
        return gettext(
            "Every payment costs %(price)s instead of %(regular)s.", price=money(price), regular=money(regular)
        )
    return ngettext(
        "One more payment of %(price)s, after that %(regular)s.",
        "%(n)s more payments of %(price)s, after that %(regular)s.",
        left,
        price=money(price),
        regular=money(regular),
    )
