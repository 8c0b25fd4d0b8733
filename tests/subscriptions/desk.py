"""What happens to subscriptions, step by step, each in a transaction of its own, on real tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text

from quntedge.accounts.models import AppUser
from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions import notes, receipts
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.receipts import Receipt
from quntedge.subscriptions.rules import PlanTerms
from quntedge.subscriptions.service import Amendment, ObservedMembership, Owner, SubscriptionService
from tests.catalog.rows import insert_plan
from tests.subscriptions.states import AT, PERIOD_END

PLAN = "pln_0000000000000000000000mont"
TERMS = {"plan_1": PlanTerms(PLAN, grace_days=7)}


@dataclass
class Desk:
    """The service with a monthly plan. Each membership has a customer of its own, whose id ends like its id, unless
    `owners` says whose it is. `facts` are those recorded since somebody cleared them."""

    units: UnitOfWorkFactory
    clock: FrozenClock
    facts: list[SubscriptionChanged] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    service: SubscriptionService = field(default_factory=SubscriptionService)

    async def open(self, customers: int) -> "Desk":
        """Makes the plan and so many customers, `usr_0` and so on."""
        self.units.bus.subscribe(SubscriptionChanged, self._collect)
        async with self.units() as unit:
            connection = await unit.connection()
            await insert_plan(connection, id=PLAN, created_at=AT)
            people = [{"id": f"usr_{number}", "locale": "en", "created_at": AT} for number in range(customers)]
            await connection.execute(insert(AppUser), people)
            await unit.commit()
        return self

    async def _collect(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        self.facts += facts

    async def say(self, membership_id: str, status: str, at: datetime, *, read: bool = False, **over: Any) -> str:
        """A delivery about a membership, or with `read` Whop's own answer. The verdict."""
        known = status in {one.value for one in MembershipStatus}
        values: dict[str, Any] = {"period_start": AT, "period_end": PERIOD_END, "paused": False} | over
        snapshot = MembershipSnapshot(
            membership_id=membership_id,
            status=MembershipStatus(status) if known else MembershipStatus.UNKNOWN,
            raw_status=status,
            plan_id="plan_1",
            updated_at=at,
            **values,
        )
        async with self.units() as unit:
            observed = ObservedMembership(snapshot, "msg_1", from_gateway=read)
            (verdict,) = await self.service.apply(unit, [observed], TERMS, self._find_owners)
            await unit.commit()
        return verdict.value

    async def amend(self, membership_id: str, **facts: Any) -> None:
        """Something that only we know of a membership."""
        async with self.units() as unit:
            await self.service.amend(unit, [Amendment(membership_id, "req_1", "system", **facts)], TERMS)
            await unit.commit()

    async def pay(self, subscription_id: str, *paid_at: datetime) -> None:
        """Money comes in."""
        async with self.units() as unit:
            await receipts.note(unit, [Receipt(subscription_id, at, "msg_2") for at in paid_at])
            await unit.commit()

    async def note(self, subscription_id: str, kind: str) -> None:
        """Something happened that changes nothing."""
        async with self.units() as unit:
            await notes.append(unit, subscription_id, kind, actor="system", cause="dun_1", facts={"at": "then"})
            await unit.commit()

    async def subscription(self, membership_id: str) -> dict[str, Any]:
        """The row of the subscription that a membership belongs to."""
        (row,) = await self.rows(
            "SELECT s.* FROM subscription s JOIN subscription_membership m ON m.subscription_id = s.id"
            " WHERE m.whop_membership_id = :id",
            id=membership_id,
        )
        return row

    async def kinds(self, membership_id: str) -> list[str]:
        """The names of the entries of its history."""
        rows = await self.rows(
            "SELECT e.kind FROM subscription_event e JOIN subscription_membership m USING (subscription_id)"
            " WHERE m.whop_membership_id = :id ORDER BY e.version",
            id=membership_id,
        )
        return [row["kind"] for row in rows]

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query."""
        async with self.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    async def execute(self, sql: str, **parameters: object) -> None:
        """Changes something behind everybody's back."""
        async with self.units() as unit:
            await unit.session.execute(text(sql), parameters)
            await unit.commit()

    async def _find_owners(self, unit: UnitOfWork, observed: Sequence[ObservedMembership]) -> dict[str, Owner]:
        ids = [item.snapshot.membership_id for item in observed]
        return {key: Owner(self.owners.get(key, f"usr_{key.partition('_')[2]}")) for key in ids}
