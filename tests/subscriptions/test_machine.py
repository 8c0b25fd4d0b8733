"""Every status meets everything that can be said of it: the service does what the table says, and nothing else."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quntedge.access.rules import Decision, SubscriptionFacts, subscription_grant
from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions import machine
from quntedge.subscriptions.machine import TRANSITIONS, Access, Effect, Guard, Status, Trigger
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT, DAY, PERIOD_END

BY_THE_CLOCK = (Trigger.PERIOD_OVER, Trigger.GRACE_OVER)
OURS = (Trigger.SUCCESSOR_AWAITED, Trigger.PAYMENT, *BY_THE_CLOCK)
WORDS = {
    Trigger.UNCLEAR: "something_new",
    Trigger.PAUSED: "active",
    **{trigger: word for word, trigger in machine.SAID_BY_WHOP.items() if trigger is not Trigger.UNCLEAR},
}
LATER = AT + DAY


@pytest.fixture
async def desk(units: UnitOfWorkFactory, clock: FrozenClock) -> Desk:
    """A customer for each trigger."""
    return await Desk(units, clock).open(len(Trigger))


async def _bring(desk: Desk, membership_id: str, status: Status) -> None:
    """A subscription in this status."""
    word = {Status.INCOMPLETE: "drafted", Status.PAUSED: "active"}.get(status, status.value)
    await desk.say(membership_id, word, AT)
    if status is Status.PAUSED:
        await desk.amend(membership_id, paused=True)
    assert (await desk.subscription(membership_id))["status"] == status


async def _happen(desk: Desk, membership_id: str, trigger: Trigger) -> None:
    """What is ours to say, or the clock's."""
    if trigger is Trigger.SUCCESSOR_AWAITED:
        await desk.amend(membership_id, superseded=True)
        await desk.say(membership_id, "canceled", LATER, read=True)
    elif trigger is Trigger.PAYMENT:
        await desk.pay((await desk.subscription(membership_id))["id"], LATER)
    elif trigger is Trigger.GRACE_OVER and (await desk.subscription(membership_id))["status"] == Status.PAST_DUE:
        await desk.note((await desk.subscription(membership_id))["id"], machine.ACCESS_PAUSED)
    else:
        desk.clock.advance(timedelta(days=60))


@pytest.mark.parametrize("status", Status)
async def test_the_service_does_what_the_table_says(desk: Desk, status: Status) -> None:
    for number, trigger in enumerate(Trigger):
        membership_id, step = f"mem_{number}", machine.transition(status, trigger)
        await _bring(desk, membership_id, status)
        before = await desk.subscription(membership_id)
        known = await desk.kinds(membership_id)
        desk.facts.clear()
        if trigger in OURS:
            await _happen(desk, membership_id, trigger)
        else:
            paused = None if trigger is Trigger.UNCLEAR else trigger is Trigger.PAUSED
            verdict = await desk.say(membership_id, WORDS[trigger], LATER, paused=paused)
            assert (verdict == "reread") == (step.guard is Guard.READ_BY_US), (status, trigger)
            if verdict == "reread":
                assert await desk.subscription(membership_id) == before
                assert await desk.say(membership_id, WORDS[trigger], LATER, paused=paused, read=True) == "applied"
        after = await desk.subscription(membership_id)
        assert after["status"] == step.target, (status, trigger)
        news = (await desk.kinds(membership_id))[len(known) :]
        if step.entry is not None:
            assert news[-1] == step.entry, (status, trigger)
        else:
            assert set(news) <= set(machine.WITHIN_A_STATUS), (status, trigger)
        if trigger in BY_THE_CLOCK and step.entry is None:
            assert (after, news) == (before, [])
        assert after["version"] == len(known) + len(news)
        assert any(fact.started for fact in desk.facts) == (Effect.STARTS_ACCESS in step.effects), (status, trigger)
        assert any(fact.ended for fact in desk.facts) == (Effect.ENDS_ACCESS in step.effects), (status, trigger)
        assert (after["grace_until"] is not None) == (after["status"] == Status.PAST_DUE)


async def test_the_beginning_is_in_the_table_too(desk: Desk) -> None:
    for number, trigger in enumerate(Trigger):
        step = machine.transition(None, trigger)
        membership_id = f"mem_{number}"
        desk.facts.clear()
        if trigger in OURS:
            assert step.target is step.entry is None
            if trigger is Trigger.SUCCESSOR_AWAITED:
                await desk.amend(membership_id, superseded=True)
            elif trigger is Trigger.PAYMENT:
                await desk.pay("sub_nobody", LATER)
            assert desk.facts == []
            continue
        await desk.say(membership_id, WORDS[trigger], AT, paused=trigger is Trigger.PAUSED)
        assert (await desk.subscription(membership_id))["status"] == step.target
        assert await desk.kinds(membership_id) == [step.entry]
        assert desk.facts[0].started == (Effect.STARTS_ACCESS in step.effects)


def test_every_pair_has_an_answer_and_what_changes_nothing_says_why() -> None:
    assert set(TRANSITIONS) == {(status, trigger) for status in (None, *Status) for trigger in Trigger}
    for (status, trigger), step in TRANSITIONS.items():
        assert (step.status, step.trigger) == (status, trigger)
        assert bool(step.why) == (step.target is status), "only what stays explains itself"
        assert not (step.effects and step.target is status)


def test_what_is_said_decides_whatever_was_before() -> None:
    """The order of deliveries cannot matter: a trigger leads to one status, or leaves any as it is."""
    for trigger in Trigger:
        targets = {machine.transition(status, trigger).target for status in Status}
        if trigger in machine.TARGETS and trigger is not Trigger.UNCLEAR:
            assert targets == {machine.TARGETS[trigger]}
        else:
            assert targets == set(Status)


def test_what_has_ended_is_left_only_by_reading_or_by_us() -> None:
    for status in machine.ENDED:
        for trigger in Trigger:
            step = machine.transition(status, trigger)
            leaves = step.target not in machine.ENDED
            assert not leaves or step.guard is Guard.READ_BY_US or trigger is Trigger.SUCCESSOR_AWAITED


def test_dunning_lasts_as_long_as_past_due() -> None:
    for step in TRANSITIONS.values():
        was, is_now = step.status is Status.PAST_DUE, step.target is Status.PAST_DUE
        assert (Effect.OPENS_DUNNING in step.effects) == (is_now and not was)
        assert (Effect.CLOSES_DUNNING in step.effects) == (was and not is_now)


def _facts(status: Status) -> SubscriptionFacts:
    return SubscriptionFacts(
        subscription_id="sub_1",
        plan_id="pln_1",
        status=status.value,
        cancel_at_period_end=False,
        period_end=PERIOD_END,
        trial_end=PERIOD_END if status is Status.TRIALING else None,
        grace_until=AT + 7 * DAY if status is Status.PAST_DUE else None,
        ended_at=AT + DAY if status in machine.ENDED else None,
    )


@pytest.mark.parametrize("status", Status)
def test_access_is_as_the_table_says(status: Status) -> None:
    facts, access = _facts(status), machine.STATUSES[status].access

    def allowed(at: datetime, facts: SubscriptionFacts = facts) -> bool:
        decision: Decision = subscription_grant(facts, at)
        return decision.allowed

    for_ever = AT + timedelta(days=9999)
    match access:
        case Access.NEVER:
            assert not allowed(AT)
        case Access.ALWAYS:
            assert allowed(for_ever, replace(facts, cancel_at_period_end=True))
        case Access.UNTIL_CANCELLATION:
            assert allowed(for_ever)
            ending = replace(facts, cancel_at_period_end=True)
            assert allowed(PERIOD_END - DAY, ending)
            assert not allowed(PERIOD_END, ending)
        case Access.GRACE:
            assert allowed(AT + 6 * DAY)
            assert not allowed(AT + 7 * DAY)
        case Access.PAUSE_POLICY:
            assert allowed(for_ever, replace(facts, pause_access_until=None))
            assert allowed(AT, replace(facts, pause_access_until=LATER))
            assert not allowed(LATER, replace(facts, pause_access_until=LATER))
        case Access.PAID_TIME:
            assert allowed(AT)
            assert not allowed(LATER)
    # Who is live has access at some time; who is not, never beyond what was paid.
    assert machine.STATUSES[status].live == (status in machine.LIVE)


def test_the_statuses_of_the_tables_are_those_of_the_machine() -> None:
    assert set(machine.STATUSES) == set(Status)
    assert set(machine.MEANINGS) == set(Trigger)
    names = machine.entries()
    assert len(names) == len(set(names))
    assert all(name.startswith("subscription.") for name in names)
