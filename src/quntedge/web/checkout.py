"""Starting a purchase from the pricing page, and following it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.checkout.idempotency import IdempotencyKeyInFlight
from quntedge.checkout.queries import CheckoutView
from quntedge.checkout.rules import AlreadySubscribed, CheckoutInProgress, PlanNotFound
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.services import Services, services_of
from quntedge.edge.transactions import Unit
from quntedge.promotions.errors import PromotionHeld
from quntedge.web import promotions
from quntedge.web.flash import set_flash
from quntedge.web.forms import read_form
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_PLAN_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SECONDS = re.compile(r"[0-9]{1,11}")
_PATIENCE_SECONDS = 8.0
_LOOK_AGAIN_SECONDS = 0.25

# How long after coming back from the payment page the news of a payment is waited for: after a declined card, and where
# nothing was heard at all.
_RETRIED = timedelta(seconds=20)
_UNHEARD_OF = timedelta(minutes=1)


@router.post("/checkout/start")
async def start(request: Request, caller: SignedInCustomer) -> Response:
    """Opens the hosted checkout and leads there. The form's attempt token is the idempotency key."""
    form = await read_form(request)
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    plan = form.get("plan", "")
    if not _PLAN_CODE.fullmatch(plan):
        raise PlanNotFound("There is no such plan for sale. Choose one from the pricing page.")
    code = form.get("promotion_code") or None
    try:
        async with services.audit.attempt("checkout.start", "plan", plan):
            view = await _start_patiently(services, caller.user_id, plan, form.get("attempt", ""), code)
    except AlreadySubscribed:
        response = RedirectResponse("/billing", status_code=303)
        set_flash(response, request, "already_subscribed", kind="info")
        return response
    except PromotionHeld as error:
        return RedirectResponse(f"/checkout/{error.extra['checkout_id']}/pay", status_code=303)
    except promotions.REFUSALS:
        # The pricing page tries the code again and says why it cannot be used, beside the prices without it.
        return RedirectResponse(promotions.pricing_with(code or ""), status_code=303)
    if view.payment_code is not None:
        return RedirectResponse(f"/checkout/{view.id}/pay", status_code=303)
    return RedirectResponse(view.purchase_url or f"/checkout/{view.id}", status_code=303)


async def _start_patiently(services: Services, user_id: str, plan: str, attempt: str, code: str | None) -> CheckoutView:
    """Starts the checkout; a second click waits for the first.

    The browser shows the answer to the last click only, so "somebody is at it already" would leave the customer with
    an error where the first click would have led to the payment page.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                try:
                    return await services.checkout.start(user_id, plan, attempt, promotion_code=code)
                except (IdempotencyKeyInFlight, CheckoutInProgress) as error:
                    in_progress = error
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    except TimeoutError:
        raise in_progress from None


@router.get("/checkout/{checkout_id}", dependencies=[audited("checkout.read", "checkout", "checkout_id")])
async def show(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> Response:
    """The page a buyer comes back to. It shows what signed deliveries have told us, not what the address says.

    The `since` of the address is when they came back: it can delay bad news, never make good news.
    """
    view = await services_of(request).checkout.get(unit, caller.user_id, checkout_id)
    return await pages_of(request).page(request, "checkout_return.html", {"intent": _intent(request, view)}, unit=unit)


@router.get("/checkout/{checkout_id}/status")
async def status(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> Response:
    """The fragment that asks for its successor until the purchase is decided."""
    view = await services_of(request).checkout.get(unit, caller.user_id, checkout_id)
    return await pages_of(request).page(request, "_checkout_status.html", {"intent": _intent(request, view)}, unit=unit)


def _intent(request: Request, view: CheckoutView) -> dict[str, object]:
    now = services_of(request).clock.now()
    since = _since(request, now)
    if since is None and view.failure is None:
        since = now
    return {
        "id": view.id,
        "state": page_state(view, since, now),
        "since": None if since is None else int(since.timestamp()),
        "pay": view.purchase_url if view.payment_code is None else f"/checkout/{view.id}/pay",
        "plan_name": view.plan_name,
        "price": view.price,
    }


def _since(request: Request, now: datetime) -> datetime | None:
    """When the buyer came back, as the address says; None for what is no moment of the past."""
    text = request.query_params.get("since", "")
    if not _SECONDS.fullmatch(text) or int(text) > now.timestamp():
        return None
    return datetime.fromtimestamp(int(text), UTC)


def page_state(view: CheckoutView, since: datetime | None, now: datetime) -> str:
    """A checkout as the page tells it: processing, completed, failed, expired, declined or unpaid.

    The last two are undecided. A declined card leaves the checkout open at the gateway: whoever comes back from there
    (`since`) has mostly paid with another card since, and the news of that is on its way. Told at once that the payment
    failed, they would pay twice. Nobody is told to wait for ever for a payment that they never made.
    """
    if view.state in ("completed", "expired", "failed"):
        return view.state
    waited = timedelta.max if since is None else now - since
    if view.failure is not None:
        return "processing" if waited < _RETRIED else "declined"
    return "processing" if since is None or waited < _UNHEARD_OF else "unpaid"
