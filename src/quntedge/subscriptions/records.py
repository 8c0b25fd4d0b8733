"""Between rows and the values the rules work on."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.subscriptions.rules import LIVE, MembershipState, Status, SubscriptionState


@dataclass(slots=True)
class Holding:
    """A subscription in memory: its state, its memberships, and what of it has to be written.

    `version` is that of the newest entry of its history; whoever counts it up holds the lock of the row.
    """

    id: str
    user_id: str
    checkout_id: str | None
    started_at: datetime
    stored: bool
    version: int = 0
    state: SubscriptionState | None = None
    renewal_check_at: datetime | None = None
    memberships: dict[str, MembershipState] = field(default_factory=dict)
    touched: dict[str, MembershipState] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def new(cls, subscription_id: str, user_id: str, checkout_id: str | None, now: datetime) -> "Holding":
        """One that does not exist yet."""
        return cls(id=subscription_id, user_id=user_id, checkout_id=checkout_id, started_at=now, stored=False)

    @classmethod
    def from_row(cls, row: Row[Any]) -> "Holding":
        """One that does."""
        return cls(
            id=row.id,
            user_id=row.user_id,
            checkout_id=row.checkout_id,
            started_at=row.started_at,
            stored=True,
            version=row.version,
            state=subscription_state(row),
            renewal_check_at=row.renewal_check_at,
        )

    @property
    def is_live(self) -> bool:
        """Whether it stands for something the user has now."""
        return self.state is not None and self.state.status in LIVE

    def add_row(self, row: Row[Any]) -> None:
        """Remembers a membership as it is stored."""
        self.memberships[row.whop_membership_id] = membership_state(row)

    def put(self, membership: MembershipState) -> None:
        """Replaces a membership; it will be written."""
        self.memberships[membership.membership_id] = membership
        self.touched[membership.membership_id] = membership


def state_from_snapshot(snapshot: MembershipSnapshot, plan_id: str, plan_version: int) -> MembershipState:
    """What a snapshot says, in our words. What only we know is taken over later from what was held before."""
    price = snapshot.renewal_price
    return MembershipState(
        membership_id=snapshot.membership_id,
        plan_id=plan_id,
        status=snapshot.status.value,
        raw_status=snapshot.raw_status,
        whop_plan_id=snapshot.plan_id,
        whop_user_id=snapshot.user_id,
        whop_member_id=snapshot.member_id,
        cancel_at_period_end=snapshot.cancel_at_period_end,
        paused=bool(snapshot.paused),
        needs_review=snapshot.status in (MembershipStatus.UNKNOWN, MembershipStatus.UNRESOLVED),
        canceled_at=snapshot.canceled_at,
        period_start=snapshot.period_start,
        period_end=snapshot.period_end,
        expires_at=snapshot.expires_at,
        renewal_price_minor=price.amount_minor if price else None,
        currency=price.currency if price else None,
        past_due_since=None,
        paused_at=None,
        resume_at=None,
        superseded_at=None,
        plan_version=plan_version,
        created_at=snapshot.created_at,
        updated_at=snapshot.updated_at,
    )


def membership_state(row: Row[Any]) -> MembershipState:
    """A stored membership as the rules see it."""
    return MembershipState(
        membership_id=row.whop_membership_id,
        plan_id=row.plan_id,
        status=row.status,
        raw_status=row.raw_status,
        whop_plan_id=row.whop_plan_id,
        whop_user_id=row.whop_user_id,
        whop_member_id=row.whop_member_id,
        cancel_at_period_end=row.cancel_at_period_end,
        paused=row.paused,
        needs_review=row.needs_review,
        canceled_at=row.canceled_at,
        period_start=row.period_start,
        period_end=row.period_end,
        expires_at=row.expires_at,
        renewal_price_minor=row.renewal_price_minor,
        currency=row.currency,
        past_due_since=row.past_due_since,
        paused_at=row.paused_at,
        resume_at=row.resume_at,
        superseded_at=row.superseded_at,
        plan_version=row.plan_version,
        created_at=row.gateway_created_at,
        updated_at=row.gateway_updated_at,
    )


def membership_row(holding: Holding, membership: MembershipState, now: datetime) -> dict[str, Any]:
    """The row of a membership."""
    return {
        "whop_membership_id": membership.membership_id,
        "subscription_id": holding.id,
        "user_id": holding.user_id,
        "plan_id": membership.plan_id,
        "whop_plan_id": membership.whop_plan_id,
        "whop_user_id": membership.whop_user_id,
        "whop_member_id": membership.whop_member_id,
        "status": membership.status,
        "raw_status": membership.raw_status,
        "cancel_at_period_end": membership.cancel_at_period_end,
        "paused": membership.paused,
        "needs_review": membership.needs_review,
        "canceled_at": membership.canceled_at,
        "period_start": membership.period_start,
        "period_end": membership.period_end,
        "expires_at": membership.expires_at,
        "renewal_price_minor": membership.renewal_price_minor,
        "currency": membership.currency,
        "past_due_since": membership.past_due_since,
        "paused_at": membership.paused_at,
        "resume_at": membership.resume_at,
        "superseded_at": membership.superseded_at,
        "plan_version": membership.plan_version,
        "gateway_created_at": membership.created_at,
        "gateway_updated_at": membership.updated_at,
        "first_seen_at": now,
    }


def subscription_state(row: Row[Any]) -> SubscriptionState:
    """A stored subscription as the rules see it."""
    return SubscriptionState(
        status=Status(row.status),
        plan_id=row.plan_id,
        membership_id=row.whop_membership_id,
        cancel_at_period_end=row.cancel_at_period_end,
        needs_review=row.needs_review,
        period_start=row.period_start,
        period_end=row.period_end,
        trial_end=row.trial_end,
        grace_until=row.grace_until,
        paused_at=row.paused_at,
        resume_at=row.resume_at,
        pause_access_until=row.pause_access_until,
        canceled_at=row.canceled_at,
        ended_at=row.ended_at,
        renewal_price_minor=row.renewal_price_minor,
        currency=row.currency,
        plan_version=row.plan_version,
    )


def subscription_values(holding: Holding, now: datetime, *, creating: bool = True) -> dict[str, Any]:
    """The column values of a subscription, all of them when it is created."""
    state = holding.state
    if state is None:
        raise ValueError("a subscription without a state cannot be written")
    values: dict[str, Any] = {
        "plan_id": state.plan_id,
        "status": state.status.value,
        "whop_membership_id": state.membership_id,
        "cancel_at_period_end": state.cancel_at_period_end,
        "needs_review": state.needs_review,
        "period_start": state.period_start,
        "period_end": state.period_end,
        "trial_end": state.trial_end,
        "grace_until": state.grace_until,
        "paused_at": state.paused_at,
        "resume_at": state.resume_at,
        "pause_access_until": state.pause_access_until,
        "canceled_at": state.canceled_at,
        "ended_at": state.ended_at,
        "renewal_price_minor": state.renewal_price_minor,
        "currency": state.currency,
        "plan_version": state.plan_version,
        "version": holding.version,
        "renewal_check_at": holding.renewal_check_at,
        "updated_at": now,
    }
    if creating:
        values |= {
            "id": holding.id,
            "user_id": holding.user_id,
            "checkout_id": holding.checkout_id,
            "started_at": holding.started_at,
            "created_at": now,
        }
    return values


def birth_certificate(holding: Holding, now: datetime) -> dict[str, Any]:
    """What the first entry of a history tells besides the state: what never changes, and what is not there yet."""
    return {
        "checkout_id": holding.checkout_id,
        "started_at": holding.started_at.isoformat(),
        "created_at": now.isoformat(),
        "last_payment_at": None,
    }
