"""/api/subscription/change: what another plan would cost, changing to it, following the change, and taking it back."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from quntedge.api.models import In, MoneyOut, Out, PlanCode
from quntedge.audit.log import about
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.idempotent import IdempotencyKey, Outcome, once
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.plan_changes.errors import NoChange
from quntedge.plan_changes.lines import LineKind, Reason
from quntedge.plan_changes.rules import Direction

OPERATION = "subscription.change"

router = APIRouter(prefix="/api/subscription/change", tags=["subscription"])


class PreviewIn(In):
    """The plan that is wanted. `pay_by` asks for the checkout page although a card is saved."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"plan": "yearly"}]})

    plan: PlanCode
    pay_by: Literal["method", "checkout"] = Field("method", description="How to pay what is due now.")


class ChangeIn(In):
    """What to confirm: the quote of a preview, for the plan it was made for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"plan": "yearly", "quote": "qte_01k4a2f0e8f9xa3s6m1q2r7v5z"}]},
    )

    plan: PlanCode
    quote: str = Field(max_length=64, description="The preview's `quote`.")


class LineOut(Out):
    """One line. All `amount`s together are what is charged now; `text` says what the line is for."""

    kind: LineKind
    text: str
    amount: MoneyOut
    plan: str | None
    period_start: datetime | None
    period_end: datetime | None
    days_used: int | None
    days_left: int | None
    days: int | None = Field(description="Days given for nothing.")
    price: MoneyOut | None = Field(description="The plan's full price, or what was paid for the period that is left.")
    reason: Reason | None


class MethodOut(Out):
    """The saved means of payment that would be charged."""

    kind: str
    brand: str | None
    last4: str | None


class EndingDiscountOut(Out):
    """A discount of the present plan, which does not go along. `renewal` is what the next renewal would have cost."""

    code: str | None = Field(description="The promotion's code; null for a discount that has none.")
    renewal: MoneyOut


class FeatureChangeOut(Out):
    """A feature that is different in the new plan: true or false, a number or "unlimited", or a text; false as well
    where a plan lacks what is counted."""

    code: str = Field(examples=["priority_support"])
    before: bool | int | str
    after: bool | int | str
    better: bool | None = Field(description="Null for a text, which only people can compare.")


class ChangePreviewOut(Out):
    """A change as it would be if it were confirmed now."""

    quote: str = Field(examples=["qte_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    expires_at: datetime = Field(description="Until when `quote` can be confirmed.")
    from_plan: str = Field(examples=["monthly"])
    to_plan: str = Field(examples=["yearly"])
    direction: Direction
    when: Literal["now", "period_end"]
    pay_by: Literal["method", "checkout", "nothing"]
    effective_at: datetime | None = Field(description="When a change at the end of the period takes place.")
    amount: MoneyOut = Field(description="Charged now: the sum of the lines.")
    price: MoneyOut = Field(description="Charged for each period from then on.")
    refund: MoneyOut = Field(description="Goes back to the card.")
    extension_days: int = Field(description="Days given for nothing.")
    taxes_added: bool = Field(description="Whether the payment provider adds taxes to `amount`.")
    method: MethodOut | None
    replaces: str | None = Field(description="Code of the plan of a planned change that this one takes the place of.")
    ending_discount: EndingDiscountOut | None
    features: list[FeatureChangeOut] = Field(description="What the customer gets and gives up.")
    lines: list[LineOut]


class PlanChangeOut(Out):
    """A change of plan as its customer follows it.

    `pay_url` is where to pay while the state is `waiting_for_payment` or `retrying`, `confirm_url` where to answer the
    bank while it is `waiting_for_bank`.
    """

    id: str = Field(examples=["chg_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    state: str = Field(
        examples=["scheduled"],
        description="paying, waiting_for_payment, waiting_for_bank, retrying, scheduling, scheduled, withdrawing; "
        "done, failed, withdrawn, replaced, dropped or expired.",
    )
    direction: Direction
    when: Literal["now", "period_end"]
    from_plan: str
    to_plan: str
    amount: MoneyOut
    price: MoneyOut
    refund: MoneyOut
    extension_days: int
    effective_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    failure: str | None = Field(description="Why it was not paid: a class of declines, refused, no_method, expired, …")
    withdrawable: bool
    pay_url: str | None
    confirm_url: str | None
    lines: list[LineOut]


@router.post("/preview", responses=problems(401, 403, 404, 409, 422, 502, 503), summary="What another plan would cost")
async def preview_change(request: Request, caller: SignedInCustomer, body: PreviewIn) -> ChangePreviewOut:
    """Every line explained, and a quote to confirm it by. Nothing happens yet."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    preview = await services.plan_changes.service.preview(
        caller.user_id, body.plan, by_checkout=body.pay_by == "checkout"
    )
    return ChangePreviewOut.model_validate(preview.to_json(caller.locale))


@router.post(
    "",
    dependencies=[audited("plan_change.confirm")],
    responses=problems(400, 401, 403, 404, 409, 410, 422, 502, 503),
    summary="Change the plan",
)
async def change_plan(
    request: Request, caller: SignedInCustomer, body: ChangeIn, idempotency_key: IdempotencyKey = None
) -> PlanChangeOut:
    """Charges exactly what the preview showed, or plans the change; a preview that is not true any more is refused
    with 410 `preview_outdated` and a fresh one. Follow the change with GET until it is done."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    about("plan", body.plan)

    async def work(quote: str) -> Outcome:
        # A quote serves once: whoever comes again under this key finds the change it has become.
        view = await services.plan_changes.service.confirm(caller.user_id, body.plan, quote)
        return Outcome(view.to_json(caller.locale))

    answer = await once(
        services,
        caller.user_id,
        idempotency_key,
        OPERATION,
        {"plan": body.plan, "quote": body.quote},
        body.quote,
        work,
    )
    return PlanChangeOut.model_validate(answer)


@router.get("", responses=problems(401, 404, 502, 503), summary="Follow a change of plan")
async def current_change(request: Request, caller: SignedInCustomer) -> PlanChangeOut:
    """The change that is planned or being done, else the latest one."""
    found = await services_of(request).plan_changes.service.current(caller.user_id)
    if found is None:
        raise NoChange("You have never changed your plan.")
    return PlanChangeOut.model_validate(found.to_json(caller.locale))


@router.delete(
    "",
    dependencies=[audited("plan_change.withdraw")],
    responses=problems(401, 403, 404, 409, 503),
    summary="Take a planned change back",
)
async def withdraw_change(request: Request, caller: SignedInCustomer) -> PlanChangeOut:
    """The old plan goes on. Possible until the period ends, and for a checkout that nobody has paid."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    view = await services.plan_changes.service.withdraw(caller.user_id)
    return PlanChangeOut.model_validate(view.to_json(caller.locale))
