"""That access rested for want of payment stands in the history of the subscription, once for each unpaid renewal."""

from quntedge.subscriptions.machine import ACCESS_PAUSED
from quntedge.subscriptions.rebuild import Rebuild
from tests.dunning.world import FAILS_LATER, World


async def entries(world: World) -> list[str]:
    rows = await world.rows("SELECT kind FROM subscription_event ORDER BY version")
    return [row["kind"] for row in rows]


async def test_the_end_of_grace_is_an_entry_and_the_row_still_follows_from_its_history(patient: World) -> None:
    await patient.buy(FAILS_LATER)
    await patient.fail_renewal()
    assert ACCESS_PAUSED not in await entries(patient)
    await patient.travel(days=7, hours=1)
    assert (await entries(patient)).count(ACCESS_PAUSED) == 1
    [entry] = await patient.rows(
        "SELECT actor, cause, after FROM subscription_event WHERE kind = :kind", kind=ACCESS_PAUSED
    )
    assert (entry["actor"], entry["cause"]) == ("system", (await patient.case())["id"])
    await patient.travel(days=3)
    assert (await entries(patient)).count(ACCESS_PAUSED) == 1
    work = Rebuild(patient.runtime.engine, patient.runtime.units)
    assert [portion.findings async for portion in work.verify()] == [()]
    row = (await patient.rows("SELECT id, version FROM subscription"))[0]
    assert row["version"] == len(await entries(patient))
