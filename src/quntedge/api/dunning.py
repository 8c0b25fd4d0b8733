"""/api/payment/dunning and /api/payment/recover: what happens to an open payment, and paying it now."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import ConfigDict, Field

from quntedge.api.models import In, MoneyOut, Out
from quntedge.checkout.idempotency import IdempotencyService, Replay, digest_of
from quntedge.dunning.queries import AttemptView, CaseView, open_case
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.gateway.acts import StoredMethod
from quntedge.gateway.errors import GatewayError
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.ids import new_id

OPERATION = "payment.recover"

router = APIRouter(prefix="/api/payment", tags=["payment"])


class AttemptOut(Out):
    """One attempt to collect the payment."""

    by: str = Field(examples=["whop"], description="`whop`, `us` or `customer`.")
    result: str = Field(examples=["failed"], description="`open` while unknown, `failed`, `paid` or `refused`.")
    reason: str | None = Field(examples=["soft"], description="What the bank's refusal means, where it is known.")
    at: datetime

    @classmethod
    def of(cls, attempt: AttemptView) -> "AttemptOut":
        """An attempt as it is shown."""
        return cls(by=attempt.actor, result=attempt.result, reason=attempt.decline_class, at=attempt.at)


class CaseOut(Out):
    """A renewal that has not been paid.

    `step` is what the customer should do: `retry` (nothing: it is tried again at `next_try_at`), `card` (use another
    card), `confirm` (with the bank) or `pay`. `access_until` is when access is paused, `ends_at` when the subscription
    ends if nothing more is tried; null while something is.
    """

    id: str
    transaction: str
    amount: MoneyOut | None
    opened_at: datetime
    reason: str = Field(examples=["soft"])
    step: str = Field(examples=["retry"])
    next_try_at: datetime | None
    access_until: datetime | None
    access_paused: bool
    ends_at: datetime | None
    confirmable: bool = Field(description="Whether GET /billing/recover/confirm leads to the bank now.")
    attempts: list[AttemptOut]

    @classmethod
    def of(cls, case: CaseView) -> "CaseOut":
        """A case as the customer sees it."""
        return cls(
            id=case.id,
            transaction=case.transaction_id,
            amount=MoneyOut.of(case.amount) if case.amount is not None else None,
            opened_at=case.opened_at,
            reason=case.decline_class,
            step=case.step.value,
            next_try_at=case.next_try_at,
            access_until=case.access_until,
            access_paused=case.access_paused,
            ends_at=case.ends_at,
            confirmable=case.confirmable,
            attempts=[AttemptOut.of(attempt) for attempt in case.attempts],
        )


class DunningOut(Out):
    """The open payment of a customer, or null."""

    case: CaseOut | None


class MethodOut(Out):
    """A saved means of payment, as far as it may be shown."""

    id: str = Field(examples=["payt_8Hd2"])
    kind: str = Field(examples=["card"])
    brand: str | None = Field(examples=["visa"])
    last4: str | None = Field(examples=["4242"])
    exp_month: int | None
    exp_year: int | None
    expired: bool

    @classmethod
    def of(cls, method: StoredMethod) -> "MethodOut":
        """A method without what only the gateway needs."""
        return cls(
            id=method.method_id,
            kind=method.kind,
            brand=method.brand,
            last4=method.last4,
            exp_month=method.exp_month,
            exp_year=method.exp_year,
            expired=method.expired,
        )


class RecoverFormOut(Out):
    """What can be paid now, and with what."""

    case: CaseOut
    methods: list[MethodOut]


class RecoverIn(In):
    """Which saved means of payment to use, for this payment and from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"method": "payt_8Hd2"}]})

    method: str = Field(min_length=1, max_length=100)


class RecoverOut(Out):
    """How it went. `processing`: the bank has not answered yet; look again with GET /api/payment/dunning."""

    state: str = Field(examples=["paid"], description="`paid`, `processing` or `failed`.")


@router.get("/dunning", responses=problems(401, 503), summary="What happens to a payment that failed")
async def dunning(unit: Unit, caller: SignedInCustomer) -> DunningOut:
    """What went wrong, what we do next, until when access lasts, and what the customer can do."""
    case = await open_case(unit.session, caller.user_id)
    return DunningOut(case=CaseOut.of(case) if case is not None else None)


@router.get("/recover", responses=problems(401, 404, 502, 503), summary="Pay an open amount: with what")
async def recover_form(request: Request, caller: SignedInCustomer) -> RecoverFormOut:
    """The open payment and the saved means of payment, newest first."""
    recovery = services_of(request).dunning.recovery
    case = await recovery.case(caller.user_id)
    methods = await recovery.methods(case)
    return RecoverFormOut(case=CaseOut.of(case), methods=[MethodOut.of(method) for method in methods])


@router.post(
    "/recover",
    dependencies=[audited("payment.recover")],
    responses=problems(400, 401, 403, 404, 409, 422, 502, 503),
    summary="Pay an open amount now",
)
async def recover(
    request: Request,
    caller: SignedInCustomer,
    body: RecoverIn,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Required. A new random text for each try, the same one when the request is repeated.",
            examples=["0b9f2c0e-6c0e-4a6e-9d0c-7f1f1f2e3d4c"],
        ),
    ] = None,
) -> RecoverOut:
    """Uses a saved means of payment for the subscription from now on, and tries the open payment with it at once."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    keys = IdempotencyService()
    digest = digest_of({"method": body.method})
    resource_id = new_id("rec", services.clock.now())
    begun = await keys.begin(services.units, caller.user_id, idempotency_key, OPERATION, digest, resource_id)
    if isinstance(begun, Replay):
        return RecoverOut(**begun.answer)
    key = str(idempotency_key)
    try:
        recovery = await services.dunning.recovery.pay_with(caller.user_id, body.method)
    except QuntedgeError as error:
        async with services.units() as unit:
            # What the gateway did is not known for sure: the same key finds out. Anything else has changed nothing.
            settle = keys.release if isinstance(error, GatewayError) else keys.abandon
            await settle(unit, caller.user_id, key)
            await unit.commit()
        raise
    answer = RecoverOut(state=recovery.state)
    async with services.units() as unit:
        await keys.finish(unit, caller.user_id, key, 200, answer.model_dump())
        await unit.commit()
    return answer
