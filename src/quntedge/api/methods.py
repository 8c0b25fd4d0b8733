"""/api/payment/methods…: saved means of payment. Card data is typed in at the payment provider, never here."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import Field

from quntedge.api.models import Listing, Out
from quntedge.edge import methods as choosing
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.idempotent import IdempotencyKey, Outcome, once
from quntedge.edge.limits import Limit
from quntedge.edge.methods import Chosen
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.ids import new_id
from quntedge.methods.queries import MethodView, methods_of
from quntedge.methods.service import Done

ADD, DEFAULT = "payment.method.add", "payment.method.default"

router = APIRouter(prefix="/api/payment/methods", tags=["payment"])


class SavedMethodOut(Out):
    """A saved means of payment, as far as it may be shown.

    `is_default` is the one that pays the subscription; it cannot be removed while `pays` names a plan.
    """

    id: str = Field(examples=["pm_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    kind: str = Field(examples=["card"])
    brand: str | None = Field(examples=["visa"])
    last4: str | None = Field(examples=["4242"])
    exp_month: int | None = Field(examples=[4])
    exp_year: int | None = Field(examples=[2030])
    expired: bool
    expires_soon: bool = Field(description="In 30 days or less.")
    is_default: bool
    pays: str | None = Field(examples=["Monthly"], description="The plan that is charged to it.")
    saved_at: datetime | None

    @classmethod
    def of(cls, view: MethodView) -> "SavedMethodOut":
        """A method as its owner sees it."""
        return cls(
            id=view.id,
            kind=view.kind,
            brand=view.brand,
            last4=view.last4,
            exp_month=view.exp_month,
            exp_year=view.exp_year,
            expired=view.expired,
            expires_soon=view.expires_soon,
            is_default=view.is_default,
            pays=view.pays,
            saved_at=view.saved_at,
        )


class SetupOut(Out):
    """A page of the payment provider on which the customer saves a means of payment. They come back by themselves."""

    setup_url: str


class ChosenOut(Out):
    """How choosing went.

    `done`: it pays from now on. `paid` and `failed` tell of an open payment that was tried with it at once.
    `processing`: the payment provider has not answered yet; nothing needs to be sent again.
    """

    state: Chosen


class RemovedOut(Out):
    """How removing went: `done`, or `processing` while the payment provider has not answered yet."""

    state: Done


@router.get("", responses=problems(401, 503), summary="Saved payment methods")
async def list_methods(unit: Unit, caller: SignedInCustomer) -> Listing[SavedMethodOut]:
    """All of them: the one that pays first, then the newest. There is only one page."""
    views = await methods_of(unit.session, caller.user_id, unit.clock.now())
    return Listing[SavedMethodOut](data=[SavedMethodOut.of(view) for view in views])


@router.post(
    "",
    status_code=201,
    dependencies=[audited("payment_method.add")],
    responses=problems(400, 401, 403, 409, 422, 502, 503),
    summary="Add a payment method",
)
async def add_method(request: Request, caller: SignedInCustomer, idempotency_key: IdempotencyKey = None) -> SetupOut:
    """Opens a page of the payment provider. Send the customer to `setup_url`; what they save appears in the list."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)

    async def work(_resource_id: str) -> Outcome:
        return Outcome({"setup_url": await services.methods.service.start_adding(caller.user_id)})

    resource_id = new_id("mst", services.clock.now())
    answer = await once(services, caller.user_id, idempotency_key, ADD, {}, resource_id, work)
    return SetupOut(**answer)


@router.post(
    "/{method_id}/default",
    dependencies=[audited("payment_method.choose", "payment_method", "method_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 502, 503),
    summary="Pay with this method",
)
async def make_default(
    request: Request, caller: SignedInCustomer, method_id: str, idempotency_key: IdempotencyKey = None
) -> ChosenOut:
    """Charges it for the subscription from now on. An open payment is tried with it at once."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)

    async def work(_resource_id: str) -> Outcome:
        return Outcome({"state": await choosing.make_default(services, caller.user_id, method_id)})

    resource_id = new_id("pmd", services.clock.now())
    answer = await once(services, caller.user_id, idempotency_key, DEFAULT, {"method": method_id}, resource_id, work)
    return ChosenOut(**answer)


@router.delete(
    "/{method_id}",
    dependencies=[audited("payment_method.delete", "payment_method", "method_id")],
    responses=problems(401, 403, 404, 409, 502, 503),
    summary="Remove a saved payment method",
)
async def remove_method(request: Request, response: Response, caller: SignedInCustomer, method_id: str) -> RemovedOut:
    """Forgets it, at the payment provider as well. Refused while a running subscription is paid with it."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    done = await services.methods.service.remove(caller.user_id, method_id)
    if done is Done.PROCESSING:
        response.status_code = 202
    return RemovedOut(state=done)
