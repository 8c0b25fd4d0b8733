"""What waits for a person: it is on the list with what to do, and leaves it when it is mended."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from quntedge.cancellations.withdrawals import new_withdrawal_id
from quntedge.edge.attention import ADVICE, Kind, matters
from quntedge.gateway.errors import GatewayRejected, GatewayUnavailable
from quntedge.gateway.port import MembershipStatus
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.webhooks.apply import Evidence
from tests.dunning.world import FAILS_LATER, World, dunning_world


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """One customer at an emulated Whop."""
    async with dunning_world(settings, database_url) as opened:
        yield opened


async def waiting(world: World) -> list[tuple[str, str]]:
    """Kind and subject of all that waits."""
    async with world.runtime.units() as unit:
        return [(m.kind.value, m.subject_id) for m in await matters(unit.session, unit.clock.now())]


async def test_a_withdrawal_that_whop_refuses_is_asked_for_every_day_until_it_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.buy()
    assert await waiting(world) == []
    (subscription,) = await world.rows("SELECT id FROM subscription")
    key = new_withdrawal_id(world.clock.now())
    gateway, asked = world.runtime.gateway, []

    async def refuse(*_: object, **__: object) -> None:
        asked.append(world.clock.now())
        raise GatewayRejected("Whop answered memberships.cancel with 409.")

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "cancel_membership", refuse)
        withdrawals = world.runtime.services.cancellations.withdrawals
        await withdrawals.withdraw(world.user_id, key=key, contract=subscription["id"], name="Kim")
        assert (await world.status(), len(asked)) == ("active", 1)
        await world.jump(hours=1)
        assert await waiting(world) == [("withdrawal_not_ended", key)]
        for _ in range(2):
            await world.jump(hours=24)
            await world.work()
        assert len(asked) == 3
    async with world.runtime.units() as unit:
        (matter,) = await matters(unit.session, unit.clock.now())
        (process,) = await world.rows("SELECT id FROM process WHERE kind = 'withdrawal'")
        await world.runtime.processes.nudge(unit, [process["id"]])
        await unit.commit()
    assert (matter.user_id, matter.subscription_id) == (world.user_id, subscription["id"])
    assert "memberships.cancel with 409" in str(matter.detail)
    await world.work()
    assert await world.status() == "canceled"
    assert await waiting(world) == []
    assert (await world.rows("SELECT state FROM cancellation")) == [{"state": "done"}]


async def test_money_after_the_end_waits_until_it_is_given_back(world: World) -> None:
    await world.buy(FAILS_LATER)
    for hours in (90 * 24 + 1, 6 * 24):
        await world.jump(hours=hours)
        await world.hear()
    (payment, *_) = await world.runtime.gateway.payments_of(world.membership_id)
    given_up = await world.runtime.gateway.payment(payment.payment_id)
    late = replace(given_up, status=type(given_up.status).PAID, raw_status="paid", paid_at=world.clock.now())
    await world.told(Evidence(payments=(late,), from_gateway=True))
    case = await world.case()
    assert await waiting(world) == [("paid_after_the_end", case["id"])]
    await world.change(
        "UPDATE payment_transaction SET status = 'refunded', refunded_minor = total_minor WHERE id = :id",
        id=case["transaction_id"],
    )
    assert await waiting(world) == []


@pytest.mark.long
async def test_what_nobody_understands_is_on_the_list_until_it_makes_sense(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.buy(FAILS_LATER)
    await world.jump(hours=90 * 24 + 1)
    await world.hear()
    case = (await world.case())["id"]
    membership = await world.runtime.gateway.membership(world.membership_id)
    assert membership.updated_at is not None
    odd = replace(
        membership,
        status=MembershipStatus.UNKNOWN,
        raw_status="astray",
        updated_at=membership.updated_at + timedelta(seconds=1),
    )
    await world.told(Evidence(memberships=(odd,), from_gateway=True))
    await world.change("UPDATE dunning_case SET needs_review = true")
    (subscription,) = await world.rows("SELECT id FROM subscription")
    assert await waiting(world) == [("unpaid_and_unclear", case), ("status_unclear", subscription["id"])]

    async def away(*_: object, **__: object) -> None:
        raise GatewayUnavailable("Whop is away.")

    with monkeypatch.context() as patch:
        patch.setattr(world.runtime.gateway, "payment", away)
        for _ in range(10):
            await world.jump(hours=2)
            await world.work()
    (process,) = await world.rows("SELECT id FROM process")
    assert ("process_stuck", process["id"]) in await waiting(world)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(world.runtime)), base_url="http://test"
    ) as client:
        counted = (await client.get("/metrics")).text
        assert (await client.get("/api/admin/attention")).status_code == 401
    assert 'quntedge_needs_attention{kind="process_stuck"} 1.0' in counted
    assert 'quntedge_needs_attention{kind="paid_twice"} 0.0' in counted

    await world.told(Evidence(memberships=(replace(membership, updated_at=odd.updated_at),), from_gateway=True))
    await world.jump(hours=25)
    await world.work()
    await world.jump(hours=25)
    await world.work()
    assert await waiting(world) == []


def test_every_kind_says_what_to_do() -> None:
    assert set(ADVICE) == set(Kind)
