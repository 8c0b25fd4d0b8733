"""Canceling on pages: one page with one button, its undoing, the offer to stay, and withdrawing from the contract."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.cancellations.errors import (
    CancellationRefused,
    InvalidStatement,
    InvalidSurvey,
    NothingRenews,
    NothingToCancel,
    NothingToResume,
    NothingToWithdraw,
    OfferUnavailable,
    OnlyAtOnce,
    OtherContract,
    ResumeRefused,
    WithdrawalPeriodOver,
)
from quntedge.cancellations.queries import CancellationView, open_cancellation
from quntedge.cancellations.rules import FEEDBACK_MAXIMUM, NAME_MAXIMUM, Timing
from quntedge.cancellations.service import Preview
from quntedge.cancellations.withdrawals import WithdrawalView
from quntedge.checkout.idempotency import IdempotencyKeyInFlight
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.cancellations import cancel_once, withdraw_once
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.kit.crypto import random_token
from quntedge.kit.errors import Conflict
from quntedge.methods.queries import renewals
from quntedge.processes.runner import ProcessRunning
from quntedge.subscriptions.models import LIVE
from quntedge.web import words
from quntedge.web.actions import Action, Offer, Situation
from quntedge.web.flash import Kind, set_flash
from quntedge.web.forms import FormView, errors_by_field, read_form
from quntedge.web.i18n import gettext, percent
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

BILLING = "/billing"
_ATTEMPT_BYTES = 16
_EMPTY = FormView()

# Everything that can be told on the billing page in a sentence, as a message there.
_TOLD: Mapping[type[Conflict], tuple[str, Kind]] = {
    NothingToCancel: ("nothing_to_cancel", "info"),
    NothingRenews: ("nothing_renews", "info"),
    CancellationRefused: ("cancellation_refused", "error"),
    OnlyAtOnce: ("cancellation_only_now", "warning"),
    NothingToResume: ("nothing_to_resume", "info"),
    ResumeRefused: ("resume_refused", "error"),
    OfferUnavailable: ("offer_unavailable", "warning"),
    NothingToWithdraw: ("nothing_to_withdraw", "info"),
    OtherContract: ("other_contract", "warning"),
    ProcessRunning: ("under_way", "info"),
    IdempotencyKeyInFlight: ("under_way", "info"),
}


async def offers(situation: Situation) -> Sequence[Offer]:
    """What the billing page offers: to cancel, or to take that back; and to withdraw while the law allows it."""
    row = situation.standing.subscription
    if row is None:
        return ()
    found: list[Offer] = []
    if row.status in LIVE and row.status != "completed":
        found += await _cancel_or_resume(situation)
    if await situation.services.cancellations.withdrawals.open_until(situation.unit, row) is not None:
        note = gettext("As a consumer you can withdraw from the contract within 14 days and get your money back.")
        found.append(Action(gettext("Withdraw from contract"), "/billing/withdraw", "danger-ghost", note=note))
    return found


async def _cancel_or_resume(situation: Situation) -> Sequence[Offer]:
    row = situation.standing.subscription
    if row is None:
        raise ValueError("there is no subscription to cancel")
    coming = await open_cancellation(situation.unit.session, row.id)
    if coming is not None and coming.state == "requested":
        note = gettext("Your cancellation is being passed on. You get a mail as soon as it is confirmed.")
        return (Action(gettext("Look again"), BILLING, "ghost", note=note),)
    if row.cancel_at_period_end:
        if coming is None and await situation.services.cancellations.outcomes.is_planned(situation.unit, row.user_id):
            return ()  # whoever plans it offers to take it back
        note = gettext("Your plan is cancelled. Take that back with one click, and it goes on as before.")
        return (Action(gettext("Keep my plan"), "/billing/resume", "primary", "post", note=note),)
    note = gettext("Cancelling costs nothing, and you need not say why. You keep access until the end of the period.")
    if row.status == "past_due":
        note = gettext("Ends the plan now and stops further attempts to collect the open payment.")
    return (Action(gettext("Cancel subscription"), "/billing/cancel", "danger", note=note),)


@router.get("/billing/cancel")
async def show_cancel(request: Request, caller: SignedInCustomer) -> Response:
    """The page: what happens and when, an optional survey, an offer if there is one, one button."""
    try:
        preview = await services_of(request).cancellations.service.preview(caller.user_id)
    except Conflict as error:
        return _told(request, error)
    return await _cancel_page(request, preview, _EMPTY)


@router.post("/billing/cancel")
async def cancel(request: Request, caller: SignedInCustomer) -> Response:
    """Cancels. The form's attempt token is the idempotency key."""
    form, services = await read_form(request), services_of(request)
    when = form.get("when")
    try:
        async with services.audit.attempt("subscription.cancel"):
            view = await cancel_once(
                services,
                caller.user_id,
                form.get("attempt"),
                when=Timing(when) if when in tuple(Timing) else None,
                reason=form.get("reason"),
                feedback=form.get("feedback"),
            )
    except InvalidSurvey as error:
        preview = await services.cancellations.service.preview(caller.user_id)
        shown = FormView(form, errors_by_field(error.errors, {}))
        return await _cancel_page(request, preview, shown, status=422)
    except Conflict as error:
        return _told(request, error)
    return _back(request, f"cancellation_{_word(view)}", "success" if view.settled else "info")


@router.post("/billing/cancel/offer")
async def accept_offer(request: Request, caller: SignedInCustomer) -> Response:
    """Gives what was offered; the subscription goes on."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        async with services.audit.attempt("subscription.accept_offer"):
            offer = await services.cancellations.offers.accept(caller.user_id)
    except Conflict as error:
        return _told(request, error)
    return _back(request, "offer_accepted" if offer.state == "accepted" else "offer_accepting")


@router.post("/billing/resume")
async def resume(request: Request, caller: SignedInCustomer) -> Response:
    """Takes a cancellation back."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        async with services.audit.attempt("subscription.resume"):
            view = await services.cancellations.service.resume(caller.user_id)
    except Conflict as error:
        return _told(request, error)
    return _back(request, "kept" if view.state == "undone" else "keeping")


@router.get("/billing/withdraw")
async def show_withdraw(request: Request, caller: SignedInCustomer) -> Response:
    """The first step: the declaration, with contract and name; later, what was declared; too late, the way out."""
    try:
        view = await services_of(request).cancellations.withdrawals.preview(caller.user_id)
    except WithdrawalPeriodOver:
        return await _too_late(request, caller.user_id)
    except Conflict as error:
        return _told(request, error)
    return await _withdraw_page(request, view, _EMPTY)


@router.post("/billing/withdraw")
async def check_withdraw(request: Request, caller: SignedInCustomer) -> Response:
    """The second step: the finished declaration, to be confirmed."""
    form = await read_form(request)
    try:
        view = await services_of(request).cancellations.withdrawals.preview(caller.user_id)
    except WithdrawalPeriodOver:
        return await _too_late(request, caller.user_id, status=409)
    except Conflict as error:
        return _told(request, error)
    name = form.get("name", "").strip()
    if not name or len(name) > NAME_MAXIMUM:
        return await _withdraw_page(request, view, _nameless(form), status=422)
    context = _declaration(view) | {"name": name, "attempt": random_token(_ATTEMPT_BYTES)}
    return await pages_of(request).page(request, "withdraw_confirm.html", context)


@router.post("/billing/withdraw/confirm")
async def withdraw(request: Request, caller: SignedInCustomer) -> Response:
    """Receives the declaration."""
    form, services = await read_form(request), services_of(request)
    try:
        async with services.audit.attempt("subscription.withdraw"):
            await withdraw_once(
                services,
                caller.user_id,
                form.get("attempt"),
                contract=form.get("contract", ""),
                name=form.get("name", ""),
            )
    except InvalidStatement:
        view = await services.cancellations.withdrawals.preview(caller.user_id)
        return await _withdraw_page(request, view, _nameless(form), status=422)
    except WithdrawalPeriodOver:
        return await _too_late(request, caller.user_id, status=409)
    except Conflict as error:
        return _told(request, error)
    response = RedirectResponse("/billing/withdraw", status_code=303)
    set_flash(response, request, "withdrawal_received")
    return response


async def _cancel_page(request: Request, preview: Preview, form: FormView, *, status: int = 200) -> Response:
    context = {
        "form": form,
        "plan_name": preview.plan_name,
        "status": preview.status,
        "options": {option.timing.value: option for option in preview.options},
        "next_charge": preview.next_charge,
        "scheduled": preview.scheduled,
        "offer": preview.offer,
        "percent": _percent(preview),
        "reasons": words.cancellation_reasons(),
        "feedback_maximum": FEEDBACK_MAXIMUM,
        "attempt": random_token(_ATTEMPT_BYTES),
    }
    return await pages_of(request).page(request, "cancel_subscription.html", context, status=status)


async def _too_late(request: Request, user_id: str, *, status: int = 200) -> Response:
    """Withdrawing is over; whoever has something that renews can cancel it."""
    async with services_of(request).units() as unit:
        renewal = (await renewals(unit.session, [user_id])).get(user_id)
    context = {"renews": renewal is not None and not renewal.ends}
    return await pages_of(request).page(request, "withdraw_over.html", context, status=status)


async def _withdraw_page(request: Request, view: WithdrawalView, form: FormView, *, status: int = 200) -> Response:
    name = form.values.get("name", view.name or "")
    context = _declaration(view) | {"form": FormView({"name": name}, form.errors)}
    template = "withdraw_contract.html" if view.received_at is None else "withdraw_received.html"
    return await pages_of(request).page(request, template, context, status=status)


def _declaration(view: WithdrawalView) -> dict[str, Any]:
    zone = ZoneInfo(view.time_zone)
    return {
        "contract": view.subscription_id,
        "plan_name": view.plan_name,
        "name": view.name,
        "concluded_at": view.concluded_at.astimezone(zone),
        # The last day on which it can be declared, not the midnight after it.
        "last_day": words.day_before(view.deadline.astimezone(zone)),
        "refunds": view.refunds,
        "received_at": view.received_at,
    }


def _nameless(form: Mapping[str, str]) -> FormView:
    return FormView(form, {"name": gettext("Give your name, in at most %(n)s characters.", n=NAME_MAXIMUM)})


def _percent(preview: Preview) -> str | None:
    share = preview.offer.percent_bp if preview.offer is not None else None
    return None if share is None else percent(share)


def _word(view: CancellationView) -> str:
    return "requested" if view.state == "requested" else ("scheduled" if view.state == "scheduled" else "done")


def _told(request: Request, error: Conflict) -> Response:
    """The billing page with what keeps this from being done; an error without words there is an error page."""
    found = _TOLD.get(type(error))
    if found is None:
        raise error
    return _back(request, *found)


def _back(request: Request, message: str, kind: Kind = "success") -> Response:
    response = RedirectResponse(BILLING, status_code=303)
    set_flash(response, request, message, kind=kind)
    return response
