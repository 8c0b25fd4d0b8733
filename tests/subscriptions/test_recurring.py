"""What a subscription brings in at any instant, told from its history, the same whenever it is asked."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.recurring import recurring, recurring_at
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT, DAY, PERIOD_END

HOUR = timedelta(hours=1)
ROW: dict[str, Any] = {
    "id": "sub_1",
    "user_id": "usr_1",
    "plan_id": "pln_1",
    "plan_version": 1,
    "status": "active",
    "cancel_at_period_end": False,
    "period_end": PERIOD_END,
    "grace_until": None,
    "renewal_price_minor": 2900,
    "currency": "usd",
}


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"status": "trialing"}, False),
        ({"status": "paused"}, False),
        ({"status": "completed"}, False),
        ({"status": "canceled"}, False),
        ({"status": "expired"}, False),
        ({"status": "incomplete"}, False),
        ({"renewal_price_minor": None}, False),
        ({"renewal_price_minor": 0}, False),
        ({"cancel_at_period_end": True, "period_end": AT + HOUR}, True),
        ({"cancel_at_period_end": True, "period_end": AT}, False),
        ({"status": "past_due", "grace_until": AT + HOUR}, True),
        ({"status": "past_due", "grace_until": AT}, False),
        ({"status": "past_due"}, False),
    ],
    ids=str,
)
def test_what_counts(change: dict[str, Any], counts: bool) -> None:
    assert (recurring(ROW | change, AT) is not None) == counts


async def test_a_pause_drops_out_from_its_beginning_to_its_end(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    """Asked afterwards, and asked again, of each instant: the answers are those of the time."""
    desk = await Desk(units, clock).open(1)
    membership_id = "mem_0"
    await desk.say(membership_id, "active", AT, renewal_price=Money(2900, "usd"))
    began = clock.now()
    clock.advance(3 * DAY)
    await desk.amend(membership_id, paused=True)
    paused = clock.now()
    clock.advance(10 * DAY)
    await desk.amend(membership_id, paused=False)
    resumed = clock.now()
    clock.advance(DAY)
    subscription_id = (await desk.subscription(membership_id))["id"]

    async def at(moment: datetime) -> list[int]:
        async with units() as unit:
            return [one.price.amount_minor for one in await recurring_at(unit.session, [subscription_id], moment)]

    expected = [
        (began - HOUR, []),
        (began, [2900]),
        (paused - HOUR, [2900]),
        (paused, []),
        (resumed - HOUR, []),
        (resumed, [2900]),
        (clock.now(), [2900]),
    ]
    assert [(moment, await at(moment)) for moment, _ in expected] == expected
    await desk.say(membership_id, "canceled", AT + DAY, read=True)
    assert [(moment, await at(moment)) for moment, _ in expected[:-1]] == expected[:-1]
