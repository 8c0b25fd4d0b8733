"""Changing the plan on pages: choose one, see every line of what it costs, confirm, and follow the change."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.checkout.rules import failure_text
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.edge.standing import standing_of
from quntedge.edge.transactions import Unit
from quntedge.plan_changes.errors import (
    ChangeImpossible,
    ChangeRunning,
    NoChange,
    NothingToChange,
    PreviewOutdated,
    QuoteUnknown,
    SamePlan,
    TargetNotAllowed,
    TargetNotSold,
    TooLateToWithdraw,
    UnknownTarget,
)
from quntedge.plan_changes.lines import Line, line_text
from quntedge.plan_changes.situation import check_state, offer_in
from quntedge.plan_changes.views import ChangeView, Preview, latest
from quntedge.subscriptions.models import LIVE
from quntedge.web import words
from quntedge.web.actions import Action, Offer, Situation
from quntedge.web.flash import set_flash
from quntedge.web.forms import read_form
from quntedge.web.i18n import gettext, home, money, spoken
from quntedge.web.not_now import not_now_page
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

CHOOSE = "/billing/change"
FOLLOW = "/billing/plan-change"
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WORKING = ("paying", "scheduling", "withdrawing")
"""Steps that end by themselves within moments: the page looks again by itself."""


async def offers(situation: Situation) -> Sequence[Offer]:
    """Another plan, or what has become of the wish for one."""
    row = situation.standing.subscription
    if row is None or row.status not in LIVE or row.status == "completed":
        return ()
    found = await latest(situation.unit.session, situation.user_id)
    if found is not None and found.is_open:
        note = gettext("You have asked to move to another plan.")
        if found.state == "scheduled":
            note = gettext("You are going to move to another plan when your period ends.")
        return (Action(gettext("See your change of plan"), FOLLOW, "primary", note=note),)
    if row.status in ("past_due", "paused"):
        return ()
    note = gettext("Move to another plan. You see exactly what it costs before anything happens.")
    return (Action(gettext("Change plan"), CHOOSE, note=note),)


@router.get(CHOOSE)
async def choose(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """The other plans. Whoever has no subscription buys one instead."""
    standing = await standing_of(services_of(request), unit, caller.user_id)
    if standing.subscription is None or standing.plan is None or standing.subscription.status not in LIVE:
        return RedirectResponse("/pricing", status_code=303)
    found = await latest(unit.session, caller.user_id)
    if found is not None and found.is_open and found.state != "scheduled":
        return RedirectResponse(FOLLOW, status_code=303)
    row, planned = standing.subscription, found if found is not None and found.is_open else None
    try:
        check_state(row.status, ending=row.cancel_at_period_end and planned is None)
    except ChangeImpossible as error:
        return await not_now_page(request, gettext("Change plan"), error, status=200)
    currency = row.currency or standing.plan.price.currency
    plans = [
        _card(plan, offer)
        for plan in await catalog.plans(unit.session)
        if plan.id not in (standing.plan.id, planned.to_plan.id if planned else None)
        and standing.plan.rules.change.allows(plan.code)
        and (offer := offer_in(plan, currency)) is not None
    ]
    context = {"plan_name": standing.plan.name, "plans": plans, "planned": _shown(planned) if planned else None}
    return await pages_of(request).page(request, "change_plan.html", context, unit=unit)


@router.get(CHOOSE + "/{code}")
async def preview(request: Request, caller: SignedInCustomer, code: str, pay: str = "") -> Response:
    """What the change would be, line by line, with the button that does exactly that."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    try:
        shown = await services.plan_changes.service.preview(caller.user_id, _code(code), by_checkout=pay == "checkout")
    except (NothingToChange, SamePlan, ChangeRunning) as error:
        return RedirectResponse(_elsewhere(error), status_code=303)
    except (ChangeImpossible, TargetNotAllowed, TargetNotSold) as error:
        return await not_now_page(request, gettext("Change plan"), error)
    return await _preview_page(request, shown)


@router.post(CHOOSE + "/{code}")
async def confirm(request: Request, caller: SignedInCustomer, code: str) -> Response:
    """Does what was shown. A preview that is not true any more is shown anew, and nothing is done."""
    form, services = await read_form(request), services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    service, plan = services.plan_changes.service, _code(code)
    try:
        async with services.audit.attempt("plan_change.confirm", "plan", plan):
            view = await service.confirm(caller.user_id, plan, form.get("quote", ""))
    except (PreviewOutdated, QuoteUnknown):
        fresh = await service.preview(caller.user_id, plan, by_checkout=form.get("pay_by") == "checkout")
        return await _preview_page(request, fresh, outdated=True)
    except (NothingToChange, SamePlan, ChangeRunning) as error:
        return RedirectResponse(_elsewhere(error), status_code=303)
    except (ChangeImpossible, TargetNotAllowed, TargetNotSold) as error:
        return await not_now_page(request, gettext("Change plan"), error)
    return RedirectResponse(view.pay_url or FOLLOW, status_code=303)


@router.get(FOLLOW)
async def follow(request: Request, caller: SignedInCustomer) -> Response:
    """How far a change is: being paid, waiting for the customer or their bank, planned, done, or come to nothing."""
    found = await services_of(request).plan_changes.service.current(caller.user_id)
    if found is None:
        return RedirectResponse(CHOOSE, status_code=303)
    context = {"change": _shown(found), "working": found.progress in _WORKING}
    return await pages_of(request).page(request, "change_status.html", context)


@router.post(FOLLOW)
async def withdraw(request: Request, caller: SignedInCustomer) -> Response:
    """Takes a planned change back."""
    services = services_of(request)
    services.limits.hit(Limit.CHECKOUT, caller.user_id)
    response = RedirectResponse("/billing", status_code=303)
    try:
        async with services.audit.attempt("plan_change.withdraw"):
            view = await services.plan_changes.service.withdraw(caller.user_id)
    except NoChange:
        set_flash(response, request, "no_change", "info")
    except TooLateToWithdraw:
        set_flash(response, request, "change_too_late", "warning")
    else:
        set_flash(response, request, "change_withdrawn" if view.state == "withdrawn" else "change_withdrawing")
    return response


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise UnknownTarget("There is no such plan on offer. Choose one from the list.")
    return text


def _elsewhere(error: Exception) -> str:
    """Where somebody belongs who cannot change to this plan now."""
    if isinstance(error, NothingToChange):
        return "/pricing"
    return FOLLOW if isinstance(error, ChangeRunning) else CHOOSE


async def _preview_page(request: Request, shown: Preview, *, outdated: bool = False) -> Response:
    context = {
        "preview": shown,
        "lines": [_line(line) for line in shown.lines],
        "method": words.method(shown.method.kind, shown.method.brand, shown.method.last4) if shown.method else None,
        "interval": words.interval(shown.to_plan),
        "ending_discount": _ending_discount(shown),
        "features": _features(shown),
        "outdated": outdated,
    }
    status = PreviewOutdated.status if outdated else 200
    return await pages_of(request).page(request, "change_preview.html", context, status=status)


def _ending_discount(shown: Preview) -> str | None:
    """That a discount does not go along, and what it would have made of the next payment."""
    discount = shown.ending_discount
    if discount is None:
        return None
    plan, price = shown.from_plan.name, money(discount.renewal)
    if discount.code is None:
        return gettext(
            "Your discount belongs to %(plan)s, where the next payment would be %(price)s. It ends with this change.",
            plan=plan,
            price=price,
        )
    return gettext(
        "%(code)s belongs to %(plan)s, where the next payment would be %(price)s. It ends with this change.",
        code=discount.code,
        plan=plan,
        price=price,
    )


def _features(shown: Preview) -> Sequence[Mapping[str, Any]]:
    """What the customer gets and gives up; what is given up last."""
    old = {one.code: words.feature_label(one) for one in shown.from_plan.features}
    new = {one.code: words.feature_label(one) for one in shown.to_plan.features}
    changes = sorted(shown.features, key=lambda one: one.better is False)
    return [{"better": one.better, "before": old.get(one.code), "after": new.get(one.code)} for one in changes]


def _card(plan: PlanView, offer: PriceView) -> Mapping[str, Any]:
    return {
        "code": plan.code,
        "name": plan.name,
        "tagline": plan.tagline,
        "price": offer.price,
        "interval": words.interval(plan),
        "free": plan.kind == "free",
    }


def _shown(view: ChangeView) -> Mapping[str, Any]:
    return {
        "progress": view.progress,
        "moment": view.moment,
        "from_name": view.from_plan.name,
        "to_name": view.to_plan.name,
        "to_free": view.to_plan.kind == "free",
        "to_code": view.to_plan.code,
        "amount": view.amount,
        "price": view.price,
        "refund": view.refund,
        "effective_at": view.effective_at,
        "lines": [_line(line) for line in view.lines],
        "withdrawable": view.withdrawable,
        "pay_url": view.pay_url,
        "confirm_url": view.confirm_url,
        "failure": failure_text(view.failure, spoken()) if view.failure else None,
    }


def _line(line: Line) -> Mapping[str, Any]:
    return {"text": line_text(line, spoken(), home()), "amount": line.amount}
