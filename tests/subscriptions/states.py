"""Memberships and subscriptions as the rules see them, with plain defaults."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from quntedge.subscriptions.rules import MembershipState, PlanTerms, Status, SubscriptionState

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PERIOD_END = AT + 30 * DAY
WEEK = PlanTerms("pln_monthly", grace_days=7)
"""Terms with a week of grace."""


def membership(status: str = "active", at: datetime | None = AT, **over: Any) -> MembershipState:
    """A monthly membership as Whop described it at this moment."""
    plain = MembershipState(
        membership_id="mem_1",
        plan_id="pln_monthly",
        status=status,
        raw_status=status,
        whop_plan_id="plan_1",
        whop_user_id="user_1",
        whop_member_id="mber_1",
        cancel_at_period_end=False,
        paused=False,
        needs_review=status in ("unknown", "unresolved"),
        canceled_at=None,
        period_start=AT,
        period_end=PERIOD_END,
        expires_at=None,
        renewal_price_minor=2900,
        currency="usd",
        past_due_since=None,
        paused_at=None,
        resume_at=None,
        superseded_at=None,
        plan_version=1,
        created_at=AT,
        updated_at=at,
    )
    return replace(plain, **over)


def subscription(status: str = "active", **over: Any) -> SubscriptionState:
    """A monthly subscription."""
    plain = SubscriptionState(
        status=Status(status),
        plan_id="pln_monthly",
        membership_id="mem_1",
        cancel_at_period_end=False,
        needs_review=False,
        period_start=AT,
        period_end=PERIOD_END,
        trial_end=None,
        grace_until=None,
        paused_at=None,
        resume_at=None,
        pause_access_until=None,
        canceled_at=None,
        ended_at=None,
        renewal_price_minor=2900,
        currency="usd",
        plan_version=1,
    )
    return replace(plain, **over)
