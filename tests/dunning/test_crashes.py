"""Killed or cut off at any step of a retry, an end, or a payment with another card, it ends right, and only once."""

from typing import Any

import pytest

from quntedge.dunning.gateway_steps import PAY
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.processes.runner import HANDOVER
from tests.dunning.world import FAILS_LATER, Killed, World, dies

pytestmark = pytest.mark.long


async def interrupted(world: World, monkeypatch: pytest.MonkeyPatch, call: str, at: str, kind: str) -> None:
    """Does what is due; the first process is cut off at this call, and found again when its time is over."""
    error = Killed() if kind == "killed" else GatewayOutcomeUnknown("cut off")
    assert await world.runtime.services.dunning.service.work_due() == 1
    process_id = (await world.case())["process_id"]
    with monkeypatch.context() as patch:
        patch.setattr(world.runtime.gateway, call, dies(at, getattr(world.runtime.gateway, call), error))
        if kind == "killed":
            with pytest.raises(Killed):
                await world.runtime.processes.run(process_id)
        else:
            await world.runtime.processes.run(process_id)
    # It is in somebody's hands, as far as anybody knows: nothing else begins.
    assert await world.runtime.services.dunning.service.work_due() == 0
    await world.jump(seconds=HANDOVER.total_seconds() + 1)
    await world.work()


async def to_next(world: World, column: str) -> None:
    """Goes to the time at which this falls due."""
    await world.jump(to=(await world.case())[column])


async def unpaid_after_whop(world: World) -> None:
    """Whop has tried four times in vain; all further tries are ours."""
    await world.buy(FAILS_LATER)
    await world.jump(hours=95 * 24 + 1)
    await world.hear()
    assert (await world.at_whop())[1]["failed"] == 4


@pytest.mark.parametrize("kind", ["killed", "unknown"])
async def test_a_retry_cut_off_anywhere_is_one_attempt(
    patient: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await unpaid_after_whop(patient)
    points = [("retry_payment", "before"), ("retry_payment", "after"), ("membership", "after")]
    for number, (call, at) in enumerate(points, start=1):
        await to_next(patient, "next_attempt_at")
        await interrupted(patient, monkeypatch, call, at, kind)
        assert (await patient.at_whop())[1]["failed"] == 4 + number
        case = await patient.case()
        assert (case["attempts_own"], case["attempts_gateway"], case["process_id"]) == (number, 4 + number, None)
    assert await patient.attempts() == [("whop", "failed")] * 4 + [("us", "failed")] * 3
    assert (await patient.case())["end_at"] is not None


@pytest.mark.parametrize(
    ("call", "at", "kind"),
    [
        ("cancel_membership", "before", "killed"),
        ("cancel_membership", "after", "killed"),
        ("cancel_membership", "after", "unknown"),
        ("payment", "after", "killed"),
    ],
)
async def test_an_end_cut_off_anywhere_is_an_end(
    patient: World, monkeypatch: pytest.MonkeyPatch, call: str, at: str, kind: str
) -> None:
    await unpaid_after_whop(patient)
    await patient.change("UPDATE dunning_case SET retries_refused = true, reminded_at = opened_at")
    await to_next(patient, "end_at")
    await interrupted(patient, monkeypatch, call, at, kind)
    case = await patient.case()
    assert (case["state"], case["closed_by"], case["needs_review"]) == ("exhausted", "us", False)
    assert (await patient.at_whop())[0] == "canceled"
    assert await patient.status() == "canceled"
    assert (await patient.mails()).count("ended_unpaid") == 1
    (process,) = await patient.rows("SELECT state FROM process WHERE kind = 'dunning_end'")
    assert process["state"] == "done"


@pytest.mark.parametrize("kind", ["killed", "unknown"])
async def test_a_payment_with_another_card_cut_off_anywhere_is_one_attempt(
    patient: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    await unpaid_after_whop(patient)
    recovery = patient.runtime.services.dunning.recovery
    declined = await patient.save_card(FAILS_LATER)
    good = await patient.save_card()
    points: list[tuple[str, str, str]] = [
        ("use_method", "before", declined),
        ("use_method", "after", declined),
        ("payment", "after", good),
    ]
    for number, (call, at, card) in enumerate(points, start=1):
        error: Any = Killed() if kind == "killed" else GatewayOutcomeUnknown("cut off")
        with monkeypatch.context() as patch:
            patch.setattr(patient.runtime.gateway, call, dies(at, getattr(patient.runtime.gateway, call), error))
            if kind == "killed":
                with pytest.raises(Killed):
                    await recovery.pay_with(patient.user_id, card)
            else:
                assert (await recovery.pay_with(patient.user_id, card)).state == "processing"
        await patient.jump(seconds=HANDOVER.total_seconds() + 1)
        await patient.work()
        assert len(await patient.rows("SELECT id FROM process WHERE kind = :kind", kind=PAY)) == number
        assert (await patient.at_whop())[1]["failed"] == 4 + min(number, 2)
    case = await patient.case()
    assert (case["state"], case["closed_by"], case["method_changes"]) == ("recovered", "customer", 3)
    assert (await patient.attempts())[4:] == [("customer", "failed")] * 2 + [("customer", "paid")]
    assert await patient.status() == "active"
