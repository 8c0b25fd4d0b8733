"""/api/payment…: buying a plan, and what was paid."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from quntedge.api.models import CheckoutIn, CheckoutOut, Listing, RefundOut
from quntedge.api.paging import PagingParams
from quntedge.audit.log import about
from quntedge.edge import reads
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit

router = APIRouter(prefix="/api/payment", tags=["payment"])


@router.post(
    "/checkout",
    status_code=201,
    dependencies=[audited("checkout.start", "plan")],
    responses=problems(400, 401, 403, 404, 409, 410, 422, 502, 503),
    summary="Buy a plan",
)
async def start_checkout(
    request: Request,
    response: Response,
    caller: SignedInCustomer,
    body: CheckoutIn,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Required. A new random text for each purchase, the same one when the request is repeated.",
            examples=["0b9f2c0e-6c0e-4a6e-9d0c-7f1f1f2e3d4c"],
        ),
    ] = None,
) -> CheckoutOut:
    """Opens a hosted checkout. Send the customer to `purchase_url`; whether they paid is reported to us."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    about("plan", body.plan)
    view = await services.checkout.start(caller.user_id, body.plan, idempotency_key, body.currency, body.promotion_code)
    response.headers["Location"] = f"/api/payment/checkout/{view.id}"
    return CheckoutOut.of(view)


@router.get(
    "/checkout/{checkout_id}",
    dependencies=[audited("checkout.read", "checkout", "checkout_id")],
    responses=problems(401, 404, 503),
    summary="Follow a purchase",
)
async def get_checkout(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> CheckoutOut:
    """How far a purchase has come."""
    return CheckoutOut.of(await services_of(request).checkout.get(unit, caller.user_id, checkout_id))


@router.get("/refunds", responses=problems(400, 401, 503), summary="Refunds")
async def list_refunds(unit: Unit, caller: SignedInCustomer, paging: PagingParams) -> Listing[RefundOut]:
    """All refunds, newest first."""
    page = await reads.refunds(unit.session, caller.user_id, paging.cursor, paging.limit)
    return Listing[RefundOut](data=[RefundOut.of(row) for row in page.data], next_cursor=page.next_cursor)
