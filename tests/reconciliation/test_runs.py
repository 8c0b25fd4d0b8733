"""Runs go on where they were left, wait when they are told to, and are one at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.errors import QuntedgeError
from quntedge.reconciliation.rules import Stage
from quntedge.reconciliation.service import ReconciliationService
from tests.reconciliation.world import SINCE, World

LONG_AGO = datetime(2026, 6, 10, tzinfo=UTC)


def impatient(world: World) -> WhopGateway:
    """A gateway of our own that is told of trouble at once."""
    config = world.emulator.config
    return connect(
        WhopSettings("custom", config.api_key, config.account_id, world.emulator.api_base_url), read_retries=0
    )


def another(world: World, gateway: WhopGateway | None = None) -> ReconciliationService:
    """What another process would be."""
    return ReconciliationService(
        world.runtime.units, gateway or world.runtime.gateway, world.reconciliation.service.repairs
    )


async def start(world: World, since: datetime = SINCE) -> str:
    return await world.reconciliation.service.begin(since, None, trigger="manual", requested_by="test")


class PowerFailure(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("where", [Stage.MOVEMENTS, Stage.COMPARE])
async def test_a_crash_in_the_middle_costs_nothing(world: World, where: Stage) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    await world.emulator.advance(minutes=10)
    run_id = await start(world, LONG_AGO)
    seen = []

    def fail(stage: Stage, share: float, rows: int) -> None:
        seen.append(stage)
        if seen.count(where) == 2:
            raise PowerFailure

    with pytest.raises(PowerFailure):
        await world.reconciliation.service.work(run_id, fail)
    # As after a real power failure: whoever held it has not let go.
    await world.change(
        "UPDATE reconciliation_run SET holder = 'gone', resume_at = NULL, lease_until = :until",
        until=world.now() + timedelta(minutes=5),
    )
    [left] = await world.rows("SELECT stage, position FROM reconciliation_run")
    assert (left["stage"], left["position"] > LONG_AGO) == (where, True)
    assert (await another(world).work(run_id)).state == "running", "it may still be alive"
    assert await another(world).work_due() == 0
    await world.emulator.advance(minutes=6)
    went_on = []
    run = await another(world).work(run_id, lambda stage, share, rows: went_on.append(stage))
    assert (run.state, run.found, run.compared) == ("done", 1, 1)
    assert went_on[0] is where, "what was done before is not done again"
    assert await world.found() == [("fee", "fee", None)]
    assert await world.sums(run_id) == {
        ("charge", "usd"): (7500, 7500, 7500, 0),
        ("fee", "usd"): (277, 233, 233, 0),
    }


async def test_being_told_to_wait_is_waited_for(world: World) -> None:
    await world.known()
    gateway = impatient(world)
    try:
        service = another(world, gateway)
        await world.emulator.faults(fault="rate_limit", match="GET /financial_activity", times=1, retry_after=40)
        run_id = await start(world)
        begun = world.now()
        run = await service.work(run_id)
        assert (run.state, run.stage, run.error) == ("running", "movements", "gateway_rate_limited")
        assert timedelta(0) < run.resume_at - begun <= timedelta(minutes=2)
        assert (await service.work(run_id)).state == "running", "not before it is time"
        await world.emulator.advance(minutes=3)
        assert await service.work_due() == 1
        run = await service.work(run_id)
        assert (run.state, run.interruptions) == ("done", 1)
        await world.emulator.faults(fault="error_before", match="GET /refunds", times=1)
        run = await service.work(await start(world))
        assert (run.state, run.error) == ("running", "gateway_unavailable")
    finally:
        await gateway.close()


async def test_without_the_permission_to_read_balances_the_rest_is_compared(world: World) -> None:
    await world.known()
    await world.change("UPDATE payment_transaction SET fee_minor = 1")
    key = await world.emulator.control.post("api_keys", json={"permissions": ["payment:basic:read"]})
    assert key.is_success, key.text
    settings = WhopSettings("custom", key.json()["secret"], "biz_test", world.emulator.api_base_url)
    gateway = connect(settings, read_retries=0)
    try:
        run = await another(world, gateway).work(await start(world))
    finally:
        await gateway.close()
    assert (run.state, run.feed_read) == ("done", False)
    assert await world.found() == [("ledger_amount", "fee", None)]


async def test_one_run_at_a_time_and_none_of_the_future(world: World) -> None:
    await start(world)
    with pytest.raises(QuntedgeError, match="under way"):
        await start(world)
    for since, until in (
        (SINCE, SINCE),
        (SINCE, world.now() + timedelta(days=1)),
        (datetime(1, 1, 1, tzinfo=UTC), None),
    ):
        with pytest.raises(QuntedgeError, match="range"):
            await world.reconciliation.service.begin(since, until, trigger="manual", requested_by="test")


async def test_the_nightly_run_comes_by_itself_once_a_day(world: World) -> None:
    service = world.reconciliation.service
    assert await service.work_due() == 0, "nothing was paid yet"
    await world.known()
    assert await service.work_due() == 0
    await world.emulator.advance(hours=24)
    assert await service.work_due() == 1
    assert await service.work_due() == 0
    assert await another(world).work_due() == 0
    await world.emulator.advance(hours=25)
    assert await service.work_due() == 1
    runs = await world.rows("SELECT trigger, state FROM reconciliation_run")
    assert runs == [{"trigger": "nightly", "state": "done"}] * 2
