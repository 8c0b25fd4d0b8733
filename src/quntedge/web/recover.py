"""Paying what is open: what went wrong, what comes next, and which card to use instead. Works without JavaScript."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.dunning.errors import MethodNotFound, MethodRefused, NothingToConfirm, NothingToRecover, RecoveryRunning
from quntedge.dunning.queries import CaseView, open_case
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.gateway.acts import StoredMethod
from quntedge.gateway.errors import GatewayError
from quntedge.kit.logging import get_logger
from quntedge.web import words
from quntedge.web.actions import Offer, Panel, Situation
from quntedge.web.flash import Kind, set_flash
from quntedge.web.forms import read_form
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

PATH = "/billing/recover"
_OUTCOMES: dict[str, tuple[str, str, Kind]] = {
    "paid": ("/billing", "recovery_paid", "success"),
    "processing": (PATH, "recovery_processing", "info"),
    "failed": (PATH, "recovery_failed", "error"),
}

log = get_logger(__name__)


async def offers(situation: Situation) -> Sequence[Offer]:
    """What is open comes before everything else."""
    case = await open_case(situation.unit.session, situation.user_id)
    return (Panel("_manage_recover.html", {"case": case}),) if case is not None else ()


@router.get(PATH)
async def form(request: Request, caller: SignedInCustomer) -> Response:
    """The open amount, and the saved cards it can be paid with."""
    recovery = services_of(request).dunning.recovery
    try:
        case = await recovery.case(caller.user_id)
    except NothingToRecover:
        return _to(request, "/billing", "nothing_to_recover", "info")
    context = {"case": case, "methods": await _methods(request, case)}
    return await pages_of(request).page(request, "recover_payment.html", context)


@router.post(PATH)
async def pay(request: Request, caller: SignedInCustomer) -> Response:
    """Uses the chosen card from now on, and tries the open payment with it."""
    fields = await read_form(request)
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        async with services.audit.attempt("payment.recover"):
            recovery = await services.dunning.recovery.pay_with(caller.user_id, fields.get("method", ""))
    except NothingToRecover:
        return _to(request, "/billing", "nothing_to_recover", "info")
    except RecoveryRunning:
        return _to(request, PATH, "recovery_processing", "info")
    except MethodNotFound:
        return _to(request, PATH, "recovery_choose", "error")
    except MethodRefused:
        return _to(request, PATH, "recovery_refused", "error")
    return _to(request, *_OUTCOMES[recovery.state])


@router.get(f"{PATH}/confirm")
async def confirm(request: Request, caller: SignedInCustomer) -> Response:
    """Leads to the page on which the bank asks. Its address is fetched now and kept nowhere: it does not last."""
    try:
        url = await services_of(request).dunning.recovery.confirm_url(caller.user_id)
    except NothingToRecover:
        return _to(request, "/billing", "nothing_to_recover", "info")
    except NothingToConfirm:
        return _to(request, PATH, "nothing_to_confirm", "info")
    return RedirectResponse(url, status_code=303)


@router.post(f"{PATH}/card")
async def add_card(request: Request, caller: SignedInCustomer) -> Response:
    """Leads to the payment provider's page that saves a card. The customer comes back here to choose it."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        url = await services.dunning.recovery.new_card_url(caller.user_id)
    except NothingToRecover:
        return _to(request, "/billing", "nothing_to_recover", "info")
    return RedirectResponse(url, status_code=303)


async def _methods(request: Request, case: CaseView) -> list[dict[str, Any]] | None:
    """The saved cards as they are shown; None when the payment provider does not answer."""
    try:
        found = await services_of(request).dunning.recovery.methods(case)
    except GatewayError as error:
        log.warning("recover.methods_unavailable", reason=str(error))
        return None
    return [_method(method) for method in found]


def _method(method: StoredMethod) -> dict[str, Any]:
    expires = f"{method.exp_month:02d}/{method.exp_year % 100:02d}" if method.exp_month and method.exp_year else None
    return {
        "id": method.method_id,
        "label": words.method(method.kind, method.brand, method.last4),
        "expires": expires,
        "expired": method.expired,
    }


def _to(request: Request, path: str, message: str, kind: Kind) -> Response:
    response = RedirectResponse(path, status_code=303)
    set_flash(response, request, message, kind)
    return response
