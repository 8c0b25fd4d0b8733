"""What is read about subscriptions that may end, and what is answered about cancellations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.cancellations.models import OPEN, Cancellation
from quntedge.cancellations.rules import Situation, Timing
from quntedge.subscriptions.models import LIVE, Subscription


@dataclass(frozen=True, slots=True)
class CancellationView:
    """A cancellation as its customer sees it. `state`: requested, scheduled, done, undone, replaced or failed.

    `undo_until` is set while it can be taken back.
    """

    id: str
    subscription_id: str
    timing: Timing
    state: str
    reason: str | None
    requested_at: datetime
    ends_at: datetime | None
    access_until: datetime | None
    ended_at: datetime | None
    undone_at: datetime | None

    @property
    def undo_until(self) -> datetime | None:
        """The last moment for taking it back; None when it cannot be."""
        return self.ends_at if self.state == "scheduled" and self.timing is Timing.PERIOD_END else None

    @property
    def settled(self) -> bool:
        """Whether the gateway has answered, one way or the other."""
        return self.state != "requested"

    @classmethod
    def of(cls, row: Cancellation) -> "CancellationView":
        """A row as it stands."""
        return cls(
            id=row.id,
            subscription_id=row.subscription_id,
            timing=Timing(row.timing),
            state=row.state,
            reason=row.reason,
            requested_at=row.requested_at,
            ends_at=row.ends_at,
            access_until=row.access_until,
            ended_at=row.ended_at,
            undone_at=row.undone_at,
        )

    def to_json(self) -> dict[str, Any]:
        """The view as it is remembered with an idempotency key."""
        times = ("requested_at", "ends_at", "access_until", "ended_at", "undone_at")
        plain = {"id": self.id, "subscription_id": self.subscription_id, "timing": self.timing.value}
        plain |= {"state": self.state, "reason": self.reason or ""}
        return plain | {name: moment.isoformat() for name in times if (moment := getattr(self, name)) is not None}

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "CancellationView":
        """The view that `to_json` wrote."""

        def moment(name: str) -> datetime | None:
            return None if name not in members else datetime.fromisoformat(members[name])

        return cls(
            id=members["id"],
            subscription_id=members["subscription_id"],
            timing=Timing(members["timing"]),
            state=members["state"],
            reason=members["reason"] or None,
            requested_at=datetime.fromisoformat(members["requested_at"]),
            ends_at=moment("ends_at"),
            access_until=moment("access_until"),
            ended_at=moment("ended_at"),
            undone_at=moment("undone_at"),
        )


async def live_subscription(session: AsyncSession, user_id: str, *, lock: bool = False) -> Subscription | None:
    """The subscription that somebody has now. Locked, nothing about it changes until the transaction ends."""
    query = select(Subscription).where(Subscription.user_id == user_id, Subscription.status.in_(LIVE))
    found: Subscription | None = await session.scalar(query.with_for_update() if lock else query)
    return found


def situation_of(row: Subscription, plan_name: str) -> Situation:
    """What of a subscription decides how it can be canceled."""
    return Situation(row.status, plan_name, row.period_end, row.trial_end, row.pause_access_until)


async def open_cancellation(session: AsyncSession, subscription_id: str) -> Cancellation | None:
    """The cancellation of a subscription that is still to come."""
    return await _newest(session, Cancellation.subscription_id == subscription_id, Cancellation.state.in_(OPEN))


async def latest_cancellation(session: AsyncSession, subscription_id: str) -> Cancellation | None:
    """The newest cancellation of a subscription, whatever became of it."""
    return await _newest(session, Cancellation.subscription_id == subscription_id)


async def _newest(session: AsyncSession, *conditions: ColumnElement[bool]) -> Cancellation | None:
    found: Cancellation | None = await session.scalar(
        select(Cancellation)
        .where(*conditions)
        .order_by(Cancellation.requested_at.desc(), Cancellation.id.desc())
        .limit(1)
    )
    return found
