"""/api/subscription: canceling, taking that back, offers to stay, and withdrawing from the contract."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from quntedge.api.models import In, MoneyOut, Out
from quntedge.cancellations.offers import OfferView
from quntedge.cancellations.queries import CancellationView
from quntedge.cancellations.rules import FEEDBACK_MAXIMUM, NAME_MAXIMUM, Option, Reason, Timing
from quntedge.cancellations.service import Preview
from quntedge.cancellations.withdrawals import WithdrawalView
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.cancellations import cancel_once, withdraw_once
from quntedge.edge.idempotent import IdempotencyKey
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of

_ACCEPTED = 202

router = APIRouter(prefix="/api/subscription", tags=["subscription"])


class OptionOut(Out):
    """One way to cancel. Nothing is charged afterwards, and nothing is given back."""

    when: Timing
    ends_at: datetime | None = Field(description="When the subscription would end.")
    access_until: datetime | None = Field(description="Until when access would last.")

    @classmethod
    def of(cls, option: Option) -> "OptionOut":
        """An option as it is sent."""
        return cls(when=option.timing, ends_at=option.ends_at, access_until=option.access_until)


class OfferOut(Out):
    """An offer to stay. A `discount` lowers the next `periods` charges to `price_after`; a `pause` lasts `days`."""

    id: str
    kind: str = Field(examples=["discount"])
    state: str = Field(examples=["shown"], description="shown, accepting, accepted, declined or failed.")
    percent_bp: int | None = Field(examples=[2000], description="Hundredths of a percent: 2000 is 20 %.")
    amount: MoneyOut | None
    periods: int | None
    days: int | None
    price_before: MoneyOut | None
    price_after: MoneyOut | None

    @classmethod
    def of(cls, offer: OfferView) -> "OfferOut":
        """An offer as it is sent."""
        return cls(
            id=offer.id,
            kind=offer.kind,
            state=offer.state,
            percent_bp=offer.percent_bp,
            amount=MoneyOut.of(offer.amount) if offer.amount is not None else None,
            periods=offer.periods,
            days=offer.days,
            price_before=MoneyOut.of(offer.price_before) if offer.price_before is not None else None,
            price_after=MoneyOut.of(offer.price_after) if offer.price_after is not None else None,
        )


class CancellationOut(Out):
    """A cancellation. `undo_until` is set while it can be taken back."""

    id: str = Field(examples=["can_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    subscription_id: str
    when: Timing
    state: str = Field(
        examples=["scheduled"],
        description="requested (the payment provider has not answered yet), scheduled, done, undone, replaced or "
        "failed.",
    )
    reason: Reason | None
    requested_at: datetime
    ends_at: datetime | None
    access_until: datetime | None
    undo_until: datetime | None
    ended_at: datetime | None
    undone_at: datetime | None

    @classmethod
    def of(cls, view: CancellationView) -> "CancellationOut":
        """A cancellation as its customer sees it."""
        return cls(
            id=view.id,
            subscription_id=view.subscription_id,
            when=view.timing,
            state=view.state,
            reason=Reason(view.reason) if view.reason else None,
            requested_at=view.requested_at,
            ends_at=view.ends_at,
            access_until=view.access_until,
            undo_until=view.undo_until,
            ended_at=view.ended_at,
            undone_at=view.undone_at,
        )


class CancelPreviewOut(Out):
    """What canceling would mean. `next_charge` is what the end of the period costs otherwise.

    `scheduled` is a cancellation that is to come already, `offer` something to stay for, shown once in a customer's
    life: leaving it aside and canceling is how it is declined.
    """

    subscription_id: str
    plan: str = Field(examples=["monthly"])
    plan_name: str
    status: str
    options: list[OptionOut]
    reasons: list[Reason]
    next_charge: MoneyOut | None
    scheduled: CancellationOut | None
    offer: OfferOut | None

    @classmethod
    def of(cls, preview: Preview) -> "CancelPreviewOut":
        """A preview as it is sent."""
        return cls(
            subscription_id=preview.subscription_id,
            plan=preview.plan_code,
            plan_name=preview.plan_name,
            status=preview.status,
            options=[OptionOut.of(option) for option in preview.options],
            reasons=list(Reason),
            next_charge=MoneyOut.of(preview.next_charge) if preview.next_charge is not None else None,
            scheduled=CancellationOut.of(preview.scheduled) if preview.scheduled is not None else None,
            offer=OfferOut.of(preview.offer) if preview.offer is not None else None,
        )


class CancelIn(In):
    """How to cancel. Reason and feedback are a survey, and optional."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"when": "period_end", "reason": "too_expensive"}]}
    )

    when: Timing | None = Field(None, description="By default the first of the preview's options.")
    reason: Reason | None = None
    feedback: str | None = Field(None, max_length=FEEDBACK_MAXIMUM)


class WithdrawIn(In):
    """A declaration to withdraw from the contract named by the preview."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"contract": "sub_01k4a2f0e8f9xa3s6m1q2r7v5z", "name": "Ada Example"}]},
    )

    contract: str = Field(max_length=64, description="The preview's `contract`.")
    name: str = Field(max_length=NAME_MAXIMUM, description="Name of whoever declares.")


class WithdrawalOut(Out):
    """A contract and its withdrawal. `received_at` is null in a preview; `deadline` is the first moment too late."""

    id: str | None = Field(examples=["wdr_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    contract: str = Field(examples=["sub_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    plan_name: str
    name: str | None
    concluded_at: datetime
    deadline: datetime
    time_zone: str = Field(examples=["Europe/Paris"], description="The days are counted by this zone's calendar.")
    received_at: datetime | None
    refunds: list[MoneyOut]

    @classmethod
    def of(cls, view: WithdrawalView) -> "WithdrawalOut":
        """A withdrawal as its customer sees it."""
        return cls(
            id=view.id,
            contract=view.subscription_id,
            plan_name=view.plan_name,
            name=view.name,
            concluded_at=view.concluded_at,
            deadline=view.deadline,
            time_zone=view.time_zone,
            received_at=view.received_at,
            refunds=[MoneyOut.of(refund) for refund in view.refunds],
        )


@router.get("/cancel/preview", responses=problems(401, 409, 503), summary="What canceling would mean")
async def preview_cancel(request: Request, caller: SignedInCustomer) -> CancelPreviewOut:
    """The ways to cancel with their dates, and an offer to stay where there is one."""
    return CancelPreviewOut.of(await services_of(request).cancellations.service.preview(caller.user_id))


@router.post(
    "/cancel",
    dependencies=[audited("subscription.cancel")],
    responses=problems(400, 401, 403, 409, 422, 503) | {_ACCEPTED: {"model": CancellationOut}},
    summary="Cancel the subscription",
)
async def cancel(
    request: Request,
    response: Response,
    caller: SignedInCustomer,
    body: CancelIn,
    idempotency_key: IdempotencyKey = None,
) -> CancellationOut:
    """Cancels at the period's end or now. 202 with the state `requested` says that the payment provider has not
    answered yet; we go on asking. Canceling what is canceled already answers with what is."""
    view = await cancel_once(
        services_of(request),
        caller.user_id,
        idempotency_key,
        when=body.when,
        reason=body.reason,
        feedback=body.feedback,
    )
    if not view.settled:
        response.status_code = _ACCEPTED
    return CancellationOut.of(view)


@router.post(
    "/resume",
    dependencies=[audited("subscription.resume")],
    responses=problems(401, 403, 409, 503),
    summary="Take a cancellation back",
)
async def resume(request: Request, caller: SignedInCustomer) -> CancellationOut:
    """The subscription renews again. Possible until the period ends; doing it twice is harmless."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    return CancellationOut.of(await services.cancellations.service.resume(caller.user_id))


@router.post(
    "/cancel/offer",
    dependencies=[audited("subscription.accept_offer")],
    responses=problems(401, 403, 409, 503),
    summary="Accept the offer to stay",
)
async def accept_offer(request: Request, caller: SignedInCustomer) -> OfferOut:
    """Gives what the preview offered; the subscription goes on. Doing it twice is harmless."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    return OfferOut.of(await services.cancellations.offers.accept(caller.user_id))


@router.post("/withdraw/preview", responses=problems(401, 403, 409, 503), summary="What a withdrawal would mean")
async def preview_withdrawal(request: Request, caller: SignedInCustomer) -> WithdrawalOut:
    """The contract, the last day, and what would be given back; of a contract withdrawn from already, what was."""
    return WithdrawalOut.of(await services_of(request).cancellations.withdrawals.preview(caller.user_id))


@router.post(
    "/withdraw",
    dependencies=[audited("subscription.withdraw")],
    responses=problems(400, 401, 403, 409, 422, 503),
    summary="Withdraw from the contract",
)
async def withdraw(
    request: Request, caller: SignedInCustomer, body: WithdrawIn, idempotency_key: IdempotencyKey = None
) -> WithdrawalOut:
    """Receives the declaration, confirms it by mail, ends the subscription now and queues the refund for staff."""
    view = await withdraw_once(
        services_of(request), caller.user_id, idempotency_key, contract=body.contract, name=body.name
    )
    return WithdrawalOut.of(view)
