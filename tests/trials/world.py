"""Trials without a gateway: memberships as it would describe them, and everybody who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import ObservedMembership, Owner, SubscriptionService
from quntedge.trials.events import TrialEndAnnounced, TrialEnding
from quntedge.trials.service import TrialService
from tests.catalog.rows import insert_plan
from tests.conftest import START
from tests.notifications.world import add_user

TRIAL = timedelta(days=14)


@dataclass
class World:
    """Customers whose memberships change as the test says."""

    units: UnitOfWorkFactory
    clock: FrozenClock
    vault: Vault
    subscriptions: SubscriptionService = field(default_factory=SubscriptionService)
    trials: TrialService = field(default_factory=TrialService)
    endings: list[TrialEnding] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        async def remember(unit: UnitOfWork, facts: Sequence[TrialEnding]) -> None:
            self.endings.extend(facts)

        bus = self.units.bus
        bus.subscribe(SubscriptionChanged, self.trials.on_subscription_changed)
        bus.subscribe(TrialEndAnnounced, self.trials.on_end_announced)
        bus.subscribe(TrialEnding, remember)

    async def prepare(self) -> None:
        """One plan with a trial."""
        async with self.units() as unit:
            await insert_plan(unit.session, id="pln_1", created_at=START, whop_plan_id="plan_1", trial_days=TRIAL.days)
            await unit.commit()

    async def customer(self, membership_id: str, email: str) -> str:
        """Somebody who will have this membership."""
        user_id = await add_user(self.units, self.vault, email)
        self.owners[membership_id] = user_id
        return user_id

    def trial(self, membership_id: str = "mem_1", **changes: Any) -> MembershipSnapshot:
        """A membership in its trial, as of now."""
        now = self.clock.now()
        return replace(
            MembershipSnapshot(
                membership_id=membership_id,
                status=MembershipStatus.TRIALING,
                raw_status="trialing",
                plan_id="plan_1",
                member_id=f"mber_{membership_id}",
                period_start=START,
                period_end=START + TRIAL,
                created_at=START,
                updated_at=now,
            ),
            **changes,
        )

    def paid(self, membership_id: str = "mem_1") -> MembershipSnapshot:
        """A membership that is active."""
        return self.trial(
            membership_id, status=MembershipStatus.ACTIVE, raw_status="active", period_end=START + 3 * TRIAL
        )

    async def hear(self, *snapshots: MembershipSnapshot) -> None:
        """Applies them, together."""
        async with self.units() as unit:
            observed = [ObservedMembership(snapshot, "msg_1", from_gateway=True) for snapshot in snapshots]
            await self.subscriptions.apply(unit, observed, await plan_terms(unit), self._owners)
            await unit.commit()

    async def announced(self, membership_id: str = "mem_1") -> None:
        """The gateway says that the trial is about to end."""
        async with self.units() as unit:
            unit.record(TrialEndAnnounced(membership_id))
            await unit.commit()

    async def sweep(self, at: datetime) -> int:
        """Time comes to `at`, and the sweep with it."""
        self.clock.set(at)
        async with self.units() as unit:
            count = await self.trials.remind(unit, at)
            await unit.commit()
        return count

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table."""
        async with self.units() as unit:
            found = await unit.session.execute(text(f"SELECT * FROM {table}"))
            return [dict(row._mapping) for row in found]

    async def _owners(self, unit: UnitOfWork, observed: Sequence[ObservedMembership]) -> Mapping[str, Owner]:
        return {item.snapshot.membership_id: Owner(self.owners[item.snapshot.membership_id]) for item in observed}
