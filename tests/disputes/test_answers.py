"""Evidence and concessions: a person's act, sent once, whatever happens on the way."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from quntedge.disputes.answers import ResponseView, new_response_id
from quntedge.disputes.errors import DisputeBeingAnswered, DisputeLocked, DisputeNotAcceptable, DisputeNotFound
from quntedge.gateway.disputed import EvidenceTexts
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.processes.runner import HANDOVER
from tests.disputes.world import World

TEXTS = EvidenceTexts(customer_name="Kim Doe", notes="They used it for months.", service_date="2026-09-01")


class Killed(BaseException):
    """The process ends here, as if by `kill -9`."""


def cut(world: World, monkeypatch: pytest.MonkeyPatch, call: str, when: str, error: BaseException) -> list[str]:
    """Trouble once, before or after this call reaches Whop; what was called is listed."""
    gateway, calls = world.runtime.gateway, []
    real = getattr(gateway, call)

    async def troubled(*args: Any, **options: Any) -> Any:
        calls.append(call)
        first = len(calls) == 1
        if first and when == "before":
            raise error
        answer = await real(*args, **options)
        if first and when == "after":
            raise error
        return answer

    monkeypatch.setattr(gateway, call, troubled)
    return calls


async def _submit(world: World, key: str | None = None) -> ResponseView:
    dispute = await world.row("SELECT id FROM dispute")
    answers = world.runtime.services.disputes.answers
    key = key or new_response_id(world.clock.now())
    return await answers.submit(dispute["id"], TEXTS, key=key, actor="staff:test@cli")


async def _accept(world: World, key: str | None = None) -> ResponseView:
    dispute = await world.row("SELECT id FROM dispute")
    key = key or new_response_id(world.clock.now())
    return await world.runtime.services.disputes.answers.accept(dispute["id"], key=key, actor="staff:test@cli")


async def test_evidence_is_sent_once_and_kept_sealed(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    view = await _submit(world)
    assert (view.kind, view.state, view.actor) == ("evidence", "done", "staff:test@cli")
    assert (await _submit(world, view.id)).state == "done"

    at_whop = await world.runtime.gateway.dispute(dispute_id)
    assert at_whop.raw_status == "under_review"
    assert at_whop.evidence_submitted_at is not None
    told = await world.whop("GET", f"/disputes/{dispute_id}")
    assert {name: value for name, value in told["evidence"].items() if value} == dict(TEXTS.given())

    row = await world.row("SELECT status, editable, remind_at FROM dispute")
    assert row == {"status": "under_review", "editable": False, "remind_at": None}
    kept = await world.row("SELECT texts FROM dispute_response")
    assert b"Kim" not in bytes(kept["texts"])
    with pytest.raises(DisputeLocked):
        await _submit(world)
    await world.rule(dispute_id, "won")
    assert [move.status for move in world.moves] == ["needs_response", "under_review", "won"]


async def test_conceding_loses_at_once_and_the_plan_decides_what_follows(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    view = await _accept(world)
    assert (view.kind, view.state) == ("accept", "done")
    await world.work()
    assert (await world.runtime.gateway.dispute(dispute_id)).raw_status == "lost"
    assert await world.status() == "canceled"
    assert [move.lost for move in world.moves] == [False, True]
    with pytest.raises(DisputeLocked):
        await _accept(world)


@pytest.mark.parametrize(
    ("act", "when", "error"),
    [
        pytest.param(_submit, "before", Killed(), id="submit-killed-before"),
        pytest.param(_submit, "after", GatewayOutcomeUnknown("cut"), id="submit-unknown-after"),
        pytest.param(_accept, "before", GatewayOutcomeUnknown("cut"), id="accept-unknown-before"),
        pytest.param(_accept, "after", Killed(), id="accept-killed-after"),
    ],
)
async def test_cut_off_anywhere_it_is_done_once(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[..., Any], when: str, error: BaseException
) -> None:
    await world.buy()
    dispute_id = await world.dispute()
    call = "submit_evidence" if act is _submit else "accept_dispute"
    calls = cut(world, monkeypatch, call, when, error)
    key = new_response_id(world.clock.now())
    if isinstance(error, Killed):
        with pytest.raises(Killed):
            await act(world, key)
    else:
        assert (await act(world, key)).state == "requested"
        with pytest.raises(DisputeBeingAnswered):
            await act(world)
    await world.advance(seconds=HANDOVER.total_seconds() + 5)
    await world.work()
    assert (await world.row("SELECT state FROM dispute_response"))["state"] == "done"
    assert (await act(world, key)).state == "done"
    # What had happened was found by looking; only what had not was sent again.
    assert len(calls) == (2 if when == "before" else 1)
    at_whop = await world.runtime.gateway.dispute(dispute_id)
    assert at_whop.raw_status == ("under_review" if act is _submit else "lost")


async def test_what_cannot_be_answered_is_refused_before_anything_is_sent(world: World) -> None:
    await world.buy()
    answers = world.runtime.services.disputes.answers
    with pytest.raises(DisputeNotFound):
        await answers.submit("dsp_nobody", TEXTS, key=new_response_id(world.clock.now()), actor="staff:x")
    await world.dispute(inquiry=True)
    with pytest.raises(DisputeNotAcceptable):
        await _accept(world)
    await world.advance(days=8)
    with pytest.raises(DisputeLocked, match="was over"):
        await _submit(world)
    assert await world.rows("SELECT id FROM process WHERE kind LIKE 'dispute_%'") == []


async def test_what_whop_refuses_is_kept_and_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody was faster in Whop's dashboard, and we have not heard of it yet."""
    await world.buy()
    dispute_id = await world.dispute()
    await world.whop("POST", f"/disputes/{dispute_id}/accept")
    with pytest.raises(Exception, match="did not take it") as refused:
        await _submit(world)
    assert getattr(refused.value, "code", None) == "dispute_response_refused"
    assert await world.alarms() == ["response_failed"]
    row = await world.row("SELECT state, error FROM dispute_response")
    assert row["state"] == "failed"
    assert "locked" in json.dumps(row["error"])
    await world.hear()
    assert (await world.row("SELECT status FROM dispute"))["status"] == "lost"
