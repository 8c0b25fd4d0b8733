"""The billing pages. What they offer to do with a subscription comes from providers: see `quntedge.web.actions`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from quntedge.access.rules import Decision
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import FeatureView, PlanView
from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.errors import NothingToManage
from quntedge.edge.services import services_of
from quntedge.edge.standing import Standing, standing_of
from quntedge.edge.transactions import Unit
from quntedge.kit.money import Money
from quntedge.pauses.rules import interrupted_at
from quntedge.plan_changes.views import planned_plan
from quntedge.plan_migrations.moving import open_item
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription
from quntedge.web import words
from quntedge.web.actions import Action, Offer, Situation, for_page, offers_of
from quntedge.web.i18n import gettext
from quntedge.web.invoices import invoice_row
from quntedge.web.pages import pages_of
from quntedge.web.promotions import running_promotion
from quntedge.web.refunds import recent
from quntedge.web.transactions import transaction_rows

router = APIRouter(include_in_schema=False)

ENDED = ("canceled", "expired")
_RECENT = 5
_PAGE = 20


@router.get("/billing")
async def billing(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """The plan, what it gives, and the latest payments and invoices."""
    standing = await standing_of(services_of(request), unit, caller.user_id)
    payments = await reads.transactions(unit.session, caller.user_id, None, _RECENT)
    invoices = await reads.invoices(unit.session, caller.user_id, None, _RECENT)
    offers = await offers_of(request, Situation(services_of(request), unit, caller.user_id, standing))
    context = {
        "subscription": await _subscription(unit, standing),
        "features": feature_rows(await catalog.features(unit.session), standing),
        "transactions": await transaction_rows(unit, payments.data),
        "invoices": [invoice_row(row) for row in invoices.data],
        "next_cursor": payments.next_cursor,
        **await recent(unit, caller.user_id),
        **for_page(offers),
    }
    return await pages_of(request).page(request, "billing.html", context, unit=unit)


@router.get("/billing/manage")
async def manage(request: Request, caller: SignedInCustomer) -> Response:
    """Leads to the gateway's own portal: cancelling, the card, the receipts. Raises `NothingToManage`."""
    services = services_of(request)
    async with services.units() as unit:
        current = await reads.current_subscription(unit.session, caller.user_id, unit.clock.now())
    if current is None:
        raise NothingToManage("You have no subscription at the payment provider. Choose a plan first.")
    # Asked each time, with no transaction open: the address is personal and can change.
    membership = await services.gateway.membership(current[0].whop_membership_id)
    if membership.manage_url is None:
        raise NothingToManage("The payment provider gives no page for this subscription. Write to us and we help.")
    return RedirectResponse(membership.manage_url, status_code=303)


async def portal(situation: Situation) -> Sequence[Offer]:
    """The gateway's own portal, for what only the gateway can do."""
    row = situation.standing.subscription
    if row is None or row.status in ENDED:
        return ()
    note = gettext("Your card and the receipts are kept by Whop, our payment provider.")
    return (Action(gettext("Card and receipts"), "/billing/manage", note=note),)


async def _subscription(unit: UnitOfWork, standing: Standing) -> dict[str, Any] | None:
    if standing.subscription is None or standing.plan is None:
        free = await catalog.free_plan(unit.session)
        return None if free is None else _free_panel(free)
    row, plan = standing.subscription, standing.plan
    return {
        "plan_name": plan.name,
        "status": row.status,
        "status_label": words.subscription_status(row.status),
        "price": renewal_price(row, plan),
        "next_price": await new_price(unit.session, row),
        "interval_label": words.interval(plan),
        "current_period_end": row.period_end,
        "cancel_at_period_end": row.cancel_at_period_end,
        "trial_end": row.trial_end,
        "grace_until": row.grace_until if _lies_ahead(row.grace_until, unit) else None,
        "grace_over": row.grace_until is not None and not _lies_ahead(row.grace_until, unit),
        "resume_at": row.resume_at,
        "moves_to": await planned_plan(unit.session, row.id),
        "keeps_access": interrupted_at(row.pause_access_until, row.resume_at) is None,
        "access_until": access_until(row, unit.clock.now()),
        "problem": words.problem(standing.problem),
        "promotion": await running_promotion(unit, row.whop_membership_id),
    }


def _lies_ahead(moment: datetime | None, unit: UnitOfWork) -> bool:
    return moment is not None and moment > unit.clock.now()


def _free_panel(plan: PlanView) -> dict[str, Any]:
    """Everybody without a subscription is on the free plan."""
    dates = ("current_period_end", "trial_end", "grace_until", "access_until", "resume_at")
    nothing = dict.fromkeys(("price", "next_price", "problem", "promotion", "moves_to", *dates))
    return nothing | {
        "plan_name": plan.name,
        "status": "active",
        "status_label": words.subscription_status("active"),
        "interval_label": words.interval(plan),
        "cancel_at_period_end": False,
        "grace_over": False,
    }


def renewal_price(row: Subscription, plan: PlanView) -> Money:
    if row.renewal_price_minor is not None and row.currency is not None:
        return Money(row.renewal_price_minor, row.currency)
    return plan.price


async def new_price(session: AsyncSession, row: Subscription) -> Money | None:
    """What the next renewal costs instead, where that has been announced; None where it stays as it is."""
    item = await open_item(session, row.id)
    if item is None or item.new_price_minor is None or item.move_at != row.period_end:
        return None
    return Money(item.new_price_minor, item.currency)


def access_until(row: Subscription, now: datetime) -> datetime | None:
    """The day on which access ends, if one is known and lies ahead; None while it is to go on."""
    by_pause = interrupted_at(row.pause_access_until, row.resume_at)
    end = row.period_end if row.cancel_at_period_end else row.ended_at or by_pause
    return end if end is not None and end > now else None


def feature_rows(features: Sequence[FeatureView], standing: Standing) -> list[dict[str, Any]]:
    """What can be used. An end is shown only where access is really going to end, not at each renewal."""
    subscription = standing.subscription
    is_ending = subscription is not None and (
        subscription.cancel_at_period_end or subscription.status in ("past_due", "canceled")
    )
    return [_feature_row(feature, standing.decisions, is_ending) for feature in features]


def _feature_row(feature: FeatureView, decisions: Mapping[str, Decision], is_ending: bool) -> dict[str, Any]:
    decision = decisions.get(feature.code)
    allowed = decision is not None and decision.allowed
    return {
        "name": words.feature_label(replace(feature, value=decision.value)) if decision and allowed else feature.name,
        "allowed": allowed,
        "until": decision.until if decision is not None and is_ending else None,
        "reason": words.refusal(decision.reason) if decision is not None and not allowed else None,
    }
