"""What the service keeps of snapshots that come late, in the tables."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.rules import PlanTerms
from quntedge.subscriptions.service import ObservedMembership, Owner, SubscriptionService
from tests.catalog.rows import insert_plan
from tests.payments.builders import USER, rows, seed
from tests.subscriptions.states import AT, DAY, PERIOD_END

PLAN = "pln_0000000000000000000000mont"
SUBSCRIPTION = "SELECT status, grace_until, needs_review FROM subscription"


@pytest.fixture
async def shop(units: UnitOfWorkFactory) -> UnitOfWorkFactory:
    """Units of work with a customer and a monthly plan."""
    await seed(units)
    async with units() as unit:
        connection = await unit.connection()
        await insert_plan(connection, id=PLAN, created_at=AT)
        await unit.commit()
    return units


async def hear(shop: UnitOfWorkFactory, status: str, at: datetime, membership_id: str = "mem_1") -> str:
    """Applies what a delivery says, in a transaction of its own."""
    snapshot = MembershipSnapshot(
        membership_id=membership_id,
        status=MembershipStatus(status),
        raw_status=status,
        plan_id="plan_1",
        period_end=PERIOD_END,
        updated_at=at,
    )
    async with shop() as unit:
        observed = [ObservedMembership(snapshot, "msg_1")]
        (verdict,) = await SubscriptionService().apply(unit, observed, {"plan_1": PlanTerms(PLAN, 7)}, _owners)
        await unit.commit()
    return verdict.value


async def _owners(unit: UnitOfWork, observed: Sequence[ObservedMembership]) -> dict[str, Owner]:
    return {item.snapshot.membership_id: Owner(USER) for item in observed}


async def test_the_first_report_of_an_unpaid_period_may_come_last(shop: UnitOfWorkFactory) -> None:
    assert await hear(shop, "past_due", AT + DAY) == "applied"
    assert await hear(shop, "past_due", AT) == "stale"
    assert await hear(shop, "past_due", AT) == "stale"
    assert await rows(shop, SUBSCRIPTION) == [("past_due", AT + 7 * DAY, False)]
    history = await rows(shop, "SELECT kind, before IS NULL FROM subscription_event ORDER BY id")
    assert history == [("subscription.created", True), ("subscription.updated", False)]


async def test_an_unclear_report_that_comes_first_does_not_hide_a_purchase(shop: UnitOfWorkFactory) -> None:
    assert await hear(shop, "unknown", AT + DAY) == "applied"
    assert await rows(shop, SUBSCRIPTION) == [("incomplete", None, True)]
    assert await hear(shop, "active", AT) == "stale"
    assert await rows(shop, SUBSCRIPTION) == [("active", None, True)]


async def test_an_unclear_report_leaves_the_grace_as_it_is(shop: UnitOfWorkFactory) -> None:
    await hear(shop, "past_due", AT)
    await hear(shop, "unresolved", AT + DAY)
    assert await rows(shop, SUBSCRIPTION) == [("past_due", AT + 7 * DAY, True)]


async def test_a_purchase_that_an_unclear_report_hid_joins_what_is_live_already(shop: UnitOfWorkFactory) -> None:
    await hear(shop, "unknown", AT + DAY, "mem_2")
    await hear(shop, "active", AT, "mem_1")
    assert await hear(shop, "active", AT, "mem_2") == "stale"
    live = await rows(shop, "SELECT id FROM subscription WHERE status = 'active'")
    assert len(live) == 1
    assert await rows(shop, "SELECT DISTINCT subscription_id FROM subscription_membership") == live
