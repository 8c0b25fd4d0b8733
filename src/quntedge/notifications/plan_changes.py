"""Mails about changes of plan: which one follows from which news, and how amounts came about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.notifications.causes import Cause
from quntedge.notifications.rules import Kind
from quntedge.plan_changes.events import PlanChangeNews, Stage
from quntedge.plan_changes.lines import Line
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn

_KINDS: Mapping[Stage, Kind] = {
    Stage.DONE_NOW: Kind.PLAN_CHANGED,
    Stage.SWITCHED: Kind.PLAN_CHANGED,
    Stage.SCHEDULED: Kind.PLAN_CHANGE_SCHEDULED,
    Stage.WITHDRAWN: Kind.PLAN_CHANGE_WITHDRAWN,
    Stage.DONE_LATER: Kind.PLAN_CHANGE_DONE,
    Stage.NOT_COLLECTED: Kind.PLAN_CHANGE_FAILED,
    Stage.FAILED: Kind.PLAN_CHANGE_FAILED,
}


def of_plan_change(fact: PlanChangeNews) -> Cause | None:
    """Each stage of a change is told once, each failed attempt too. An end has a mail of its own, so nothing is added
    to that."""
    if fact.new_version and fact.stage in (Stage.SCHEDULED, Stage.WITHDRAWN):
        return None  # new terms of the plan they have: announced, and taken back, by mails of their own
    if fact.ended or (fact.stage is Stage.FAILED and not fact.charged_minor):
        return None  # nothing was to be paid yet: the page that planned it has said so
    kind = _KINDS[fact.stage]
    # What a withdrawn change would have led to is no news any more; the plan that stays is.
    back = fact.stage is Stage.WITHDRAWN
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.from_plan_id if back else fact.to_plan_id,
        "old_plan_id": fact.from_plan_id if fact.from_plan_id != fact.to_plan_id and not back else None,
        "change_id": fact.change_id,
        "currency": fact.currency or None,
        "amount_minor": _amount(fact),
        "refund_minor": fact.refund_minor or None,
        "starts_at": _iso(fact.effective_at),
        "next_try_at": _iso(fact.next_attempt_at),
        "decline_class": fact.reason,
    }
    return Cause(f"{kind}:{fact.change_id}:{fact.stage}:{fact.attempt}", fact.user_id, kind, params)


def of_new_terms(fact: NewTermsAnnounced) -> Cause:
    """Once for each migration of a subscription."""
    kind = Kind.NEW_TERMS_ANNOUNCED
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "currency": fact.currency,
        "amount_minor": fact.new_price_minor,
        "old_amount_minor": fact.old_price_minor,
        "starts_at": _iso(fact.from_at),
    }
    return Cause(f"{kind}:{fact.migration_id}:{fact.subscription_id}", fact.user_id, kind, params)


def of_new_terms_withdrawn(fact: NewTermsWithdrawn) -> Cause:
    """Once for each migration of a subscription."""
    kind = Kind.NEW_TERMS_WITHDRAWN
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "currency": fact.currency,
        "amount_minor": fact.price_minor,
    }
    return Cause(f"{kind}:{fact.migration_id}:{fact.subscription_id}", fact.user_id, kind, params)


def _amount(fact: PlanChangeNews) -> int | None:
    """What was, or will be, charged; None where nothing is."""
    if fact.stage in (Stage.DONE_NOW, Stage.FAILED):
        return fact.charged_minor or None
    if fact.stage is Stage.DONE_LATER:
        return fact.charged_minor or fact.price_minor
    if fact.to_free or fact.stage in (Stage.SWITCHED, Stage.WITHDRAWN):
        return None
    return fact.price_minor


async def old_plan_of(session: AsyncSession, params: Mapping[str, Any]) -> str | None:
    """The name of the plan that was left."""
    plan_id = params.get("old_plan_id")
    found = {} if plan_id is None else await catalog.plans_by_id(session, [plan_id])
    return found[plan_id].name if plan_id in found else None


async def calculation_of(session: AsyncSession, params: Mapping[str, Any]) -> tuple[Line, ...] | None:
    """How the amount of a change came about; None where there is no sum."""
    change_id = params.get("change_id")
    change = None if change_id is None else await session.get(PlanChange, change_id)
    if change is None or change.moment != "now":
        return None
    return tuple(Line.from_json(line) for line in change.lines)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
