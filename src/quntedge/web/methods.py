"""Saved payment methods on pages: look, add, choose which one pays, remove. Works without JavaScript."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.edge import methods as choosing
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.methods import Chosen
from quntedge.edge.services import services_of
from quntedge.methods.errors import (
    NothingRenews,
    PaymentMethodBusy,
    PaymentMethodExpired,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentMethodRefused,
)
from quntedge.methods.queries import MethodView, methods_of
from quntedge.methods.service import PATH, Done
from quntedge.web import words
from quntedge.web.actions import Action, Offer, Situation
from quntedge.web.flash import Kind, set_flash
from quntedge.web.i18n import gettext
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_CHOSEN: dict[Chosen, tuple[str, Kind]] = {
    Chosen.DONE: ("method_chosen", "success"),
    Chosen.PROCESSING: ("method_changing", "info"),
    Chosen.PAID: ("recovery_paid", "success"),
    Chosen.FAILED: ("recovery_failed", "error"),
}
_REFUSED: dict[type[Exception], str] = {
    PaymentMethodNotFound: "method_gone",
    PaymentMethodExpired: "method_expired",
    PaymentMethodRefused: "method_refused",
    PaymentMethodBusy: "method_busy",
    PaymentMethodInUse: "method_in_use",
    NothingRenews: "method_pays_nothing",
}
_REFUSALS = tuple(_REFUSED)


async def offers(situation: Situation) -> Sequence[Offer]:
    """Whoever has saved something can look at it."""
    saved = await methods_of(situation.unit.session, situation.user_id, situation.unit.clock.now())
    if not saved:
        return ()
    pays = next((one for one in saved if one.pays is not None), None)
    note = gettext("The cards and accounts that you have saved with our payment provider.")
    if pays is not None:
        label = words.method(pays.kind, pays.brand, pays.last4)
        note = gettext("%(method)s pays for your plan.", method=label)
        if pays.expired:
            note = gettext("%(method)s has expired. Add your new card.", method=label)
        elif pays.expires_soon:
            note = gettext("%(method)s expires soon. Add your new card.", method=label)
    return (Action(gettext("Payment methods"), PATH, note=note),)


@router.get(PATH)
async def methods(
    request: Request, caller: SignedInCustomer, setup_intent_id: str | None = None, status: str | None = None
) -> Response:
    """What is saved. Whoever comes back from saving something finds it: it is looked for at once.

    What the address says of it proves nothing, and is not needed for more than that.
    """
    services = services_of(request)
    if setup_intent_id is not None:
        services.limits.hit(Limit.CHECKOUT, caller.user_id)
        await services.methods.sync.refresh(caller.user_id)
        saved = status == "succeeded"
        return _back(request, *(("method_saved", "success") if saved else ("method_not_saved", "error")))
    async with services.units() as unit:
        views = await methods_of(unit.session, caller.user_id, unit.clock.now())
    renews = any(view.pays is not None for view in views)
    context = {"methods": [_row(view) for view in views], "renews": renews}
    return await pages_of(request).page(request, "billing_methods.html", context)


@router.post(f"{PATH}/add", dependencies=[audited("payment_method.add")])
async def add(request: Request, caller: SignedInCustomer) -> Response:
    """Leads to the payment provider's page that saves a card. The customer comes back by themselves."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    return RedirectResponse(await services.methods.service.start_adding(caller.user_id), status_code=303)


@router.post(f"{PATH}/{{method_id}}/default")
async def make_default(request: Request, caller: SignedInCustomer, method_id: str) -> Response:
    """Has the subscription charged this way from now on; an open payment is tried with it at once."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        async with services.audit.attempt("payment_method.choose", "payment_method", method_id):
            chosen = await choosing.make_default(services, caller.user_id, method_id)
    except _REFUSALS as error:
        return _back(request, _REFUSED[type(error)], "error")
    return _back(request, *_CHOSEN[chosen])


@router.post(f"{PATH}/{{method_id}}/remove")
async def remove(request: Request, caller: SignedInCustomer, method_id: str) -> Response:
    """Forgets it, at the payment provider as well."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        async with services.audit.attempt("payment_method.delete", "payment_method", method_id):
            done = await services.methods.service.remove(caller.user_id, method_id)
    except _REFUSALS as error:
        return _back(request, _REFUSED[type(error)], "error")
    return _back(request, *(("method_removed", "success") if done is Done.DONE else ("method_changing", "info")))


def _row(view: MethodView) -> dict[str, Any]:
    expires = f"{view.exp_month:02d}/{view.exp_year % 100:02d}" if view.exp_month and view.exp_year else None
    return {
        "id": view.id,
        "label": words.method(view.kind, view.brand, view.last4),
        "expires": expires,
        "expired": view.expired,
        "expires_soon": view.expires_soon,
        "pays": view.pays,
        "is_default": view.is_default,
    }


def _back(request: Request, message: str, kind: Kind) -> Response:
    response = RedirectResponse(PATH, status_code=303)
    set_flash(response, request, message, kind)
    return response
