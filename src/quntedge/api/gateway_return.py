"""GET /api/whop/return: where the gateway sends a buyer back to."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse

from quntedge.checkout.rules import CheckoutNotFound
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit

router = APIRouter(tags=["payment"], include_in_schema=False)


@router.get("/api/whop/return")
async def come_back(request: Request, unit: Unit, caller: SignedInCustomer) -> RedirectResponse:
    """Leads to the page that follows the purchase.

    Anybody can write the query string, so it only says which of the customer's own checkouts to show. Whether it was
    paid is known from signed deliveries alone.
    """
    checkout_id = request.query_params.get("checkout", "")
    try:
        found = await services_of(request).checkout.get(unit, caller.user_id, checkout_id)
    except CheckoutNotFound:
        return RedirectResponse("/billing", status_code=303)
    since = int(services_of(request).clock.now().timestamp())
    return RedirectResponse(f"/checkout/{found.id}?since={since}", status_code=303)
