"""What falls due by itself: once, whoever sees it first; and what `doctor` says of time that Whop does not leave."""

import asyncio

from sqlalchemy import event

from quntedge.commands.checks import findings
from quntedge.dunning.service import DunningService
from tests.dunning.world import FAILS_LATER, World


async def test_two_workers_see_the_same_instant(patient: World) -> None:
    await patient.buy(FAILS_LATER)
    await patient.jump(hours=95 * 24 + 1)
    await patient.hear()
    await patient.jump(to=(await patient.case())["grace_until"])
    runtime = patient.runtime
    workers = [DunningService(runtime.units, runtime.processes) for _ in range(3)]
    assert sum(await asyncio.gather(*(worker.work_due() for worker in workers))) == 1
    case = await patient.case()
    # Whoever slept through the reminder's time is not reminded of what has happened already.
    assert (case["reminded_at"], case["access_paused_at"]) == (patient.clock.now(), patient.clock.now())
    assert await patient.mails() == ["payment_failed", "access_paused"]
    processes = await patient.rows("SELECT kind, subject_id FROM process")
    assert [tuple(process.values()) for process in processes] == [("dunning_retry", case["id"])]
    assert await patient.runtime.services.dunning.service.work_due() == 0


async def test_ordinary_renewals_cost_one_statement(world: World) -> None:
    await world.buy()
    await world.jump(hours=90 * 24 + 1)
    statements: list[str] = []
    engine = world.runtime.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await world.hear()
    await world.hear()
    about_cases = [statement for statement in statements if "dunning" in statement]
    # One for each kind of fact there is, and one for the mail's words; none when nothing has changed.
    assert len(about_cases) <= 3, about_cases
    assert await world.rows("SELECT id FROM dunning_case") == []


async def test_doctor_warns_of_promises_that_whop_breaks(world: World) -> None:
    (found,) = [finding async for finding in findings(world.runtime) if finding.about == "Renewals"]
    assert found.level == "warn"
    assert "monthly, quarterly, yearly" in found.text
    await world.api("PATCH", "/accounts/biz_test/preferences", {"subscription_failure_behavior": "none"})
    (found,) = [finding async for finding in findings(world.runtime) if finding.about == "Renewals"]
    assert found.level == "ok"
