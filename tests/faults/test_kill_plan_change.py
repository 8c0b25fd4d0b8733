"""Web and worker are killed with SIGKILL in the middle of every call that a change of plan makes."""

import pytest

from tests.faults.fleet import Customer, Death, Fleet, When
from tests.faults.marks import KILLS

pytestmark = KILLS

CANCEL = "POST /memberships/*/cancel"


async def confirm(customer: Customer, plan: str) -> None:
    preview = (await customer.post("/api/subscription/change/preview", {"plan": plan})).json()
    await customer.post("/api/subscription/change", {"plan": plan, "quote": preview["quote"]})


async def steps(customer: Customer) -> list[tuple[str, str]]:
    """The change's state with each step its process has come to."""
    rows = await customer.fleet.rows(
        "SELECT c.state, s.name FROM plan_change c JOIN process_step s USING (process_id)"
        " WHERE c.user_id = :user ORDER BY s.ordinal",
        user=customer.user_id,
    )
    return [(row["state"], row["name"]) for row in rows]


async def where(customer: Customer) -> object:
    """How far it is, for whoever has to find out why it is not further."""
    processes = await customer.fleet.rows(
        "SELECT step, state, failures, error, waiting, due_at, data FROM process WHERE user_id = :user",
        user=customer.user_id,
    )
    return (await steps(customer))[-3:], processes, customer.fleet.clock.now()


async def check(customer: Customer, plan: str, collected: list[int]) -> None:
    """One charge for each period, one living membership, no process left, and access all along."""
    row = await customer.subscription()
    assert (row["status"], row["code"], await customer.allowed()) == ("active", plan, True), await where(customer)
    assert await customer.at_gateway() == (["active"], collected)
    rows = await customer.fleet.rows(
        "SELECT state, review, failure FROM plan_change WHERE user_id = :user", user=customer.user_id
    )
    assert rows == [{"state": "done", "review": None, "failure": None}]
    codes = customer.fleet.emulator.runtime.world.store.tables.promos
    assert not [code.code for code in codes.values() if code.status == "active"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_upgrade_is_completed_whoever_dies(fleet: Fleet, when: When) -> None:
    async with fleet.customer("quarterly") as kim:
        await fleet.dying(Death("web", "POST /promo_codes", when), lambda: confirm(kim, "yearly"))
        for call in ("POST /payments", CANCEL, "DELETE /promo_codes/*"):
            assert await kim.allowed()
            await fleet.dying(Death("worker", call, when), lambda: fleet.advance(seconds=300))
        await fleet.go_on()
        await check(kim, "yearly", [7500, 17500])


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_downgrade_is_completed_whoever_dies(fleet: Fleet, when: When) -> None:
    async with fleet.customer("quarterly") as kim:
        await fleet.dying(Death("web", CANCEL, when), lambda: confirm(kim, "monthly"))
        await fleet.go_on()
        assert (await kim.subscription())["cancel_at_period_end"] is False
        assert (await steps(kim))[-1][0] == "scheduled", await where(kim)
        await fleet.dying(Death("worker", "POST /payments", when), lambda: fleet.advance(hours=90 * 24 + 1))
        assert await kim.allowed()
        await fleet.go_on()
        await check(kim, "monthly", [7500, 2900])


async def test_a_charge_that_is_carried_out_after_its_sender_has_died(fleet: Fleet) -> None:
    """Whoever follows looks for it and does not find it yet; the same key keeps the two from being two."""
    async with fleet.customer("quarterly") as kim:
        await fleet.dying(Death("web", "POST /payments", "late"), lambda: confirm(kim, "yearly"))
        await fleet.go_on()
        await check(kim, "yearly", [7500, 17500])
