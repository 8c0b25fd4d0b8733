"""PauseService: pausing and resuming, as processes that survive a crash.

The gateway is asked to collect nothing; what that means for access is our plan's policy. What happens afterwards, and
who else pauses or resumes, is followed in `pauses.watch`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select, update

from quntedge.catalog import queries as catalog
from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.port import MembershipSnapshot
from quntedge.kit.ids import new_id
from quntedge.pauses import errors, rules
from quntedge.pauses.events import PauseMoved
from quntedge.pauses.models import Pause
from quntedge.pauses.rules import Standing, Terms
from quntedge.processes.models import Process
from quntedge.processes.runner import ProcessRunner, View
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, Next, Run, State, Step
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import LIVE, Subscription, SubscriptionMembership
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import Amendment, SubscriptionService

PAUSE = "pause"
RESUME = "resume"
MOVE = "pause_move"


@dataclass(frozen=True, slots=True)
class PauseView:
    """A pause as it stands. `state`: requested (the gateway has not answered yet), running, ended or failed."""

    id: str
    state: str
    paused_at: datetime | None
    resume_at: datetime | None
    access_until: datetime | None
    charge_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Held:
    """The subscription a request is about, and its standing."""

    subscription: Subscription
    standing: Standing


class PauseService:
    """Pauses and resumes subscriptions. `pause` and `resume` open units of work of their own."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: MembershipActs,
        subscriptions: SubscriptionService,
    ) -> None:
        """Makes both kinds of process known to the runner."""
        self._units = units
        self._processes = processes
        self._gateway = gateway
        self._subscriptions = subscriptions
        processes.add(
            Definition.of(
                PAUSE, Step("pause", self._paused, self._call_pause, self._look_paused), given_up=self._pause_given_up
            )
        )
        processes.add(
            # Without a look: to say once more until when harms nothing.
            Definition.of(MOVE, Step("move", self._moved, self._call_pause), given_up=self._resume_given_up)
        )
        processes.add(
            Definition.of(
                RESUME,
                Step("resume", self._resumed, self._call_resume),
                given_up=self._resume_given_up,
            )
        )

    async def preview(self, unit: UnitOfWork, user_id: str, until: datetime | None, days: int | None) -> Terms:
        """What pausing now would mean, or giving the pause that runs this end. Raises what `pause` and `move` raise."""
        held = await self._held(unit, user_id)
        now, paused_at = unit.clock.now(), held.subscription.paused_at
        if held.standing.status == "paused":
            rules.check_movable(held.standing)
        else:
            rules.check_standing(held.standing)
            paused_at = None
        return rules.terms(held.standing, rules.end_of_pause(until, days, now), now, paused_at=paused_at)

    async def standing(self, unit: UnitOfWork, user_id: str) -> Standing:
        """What decides whether this customer can pause. Raises `NothingToPause` without a live subscription."""
        return (await self._held(unit, user_id)).standing

    async def pause(
        self, user_id: str, *, until: datetime | None = None, days: int | None = None, actor: str | None = None
    ) -> PauseView:
        """Pauses until a time, for some days, or (with neither) until it is resumed. The same wish again is harmless.

        Raises the errors of `pauses.errors`. A gateway that does not answer leaves the pause `requested`; it is
        completed by itself.
        """
        async with self._units() as unit:
            now = unit.clock.now()
            held = await self._held(unit, user_id, locking=True)
            subscription = held.subscription
            repeated = await _open_pause(unit, subscription.whop_membership_id)
            if repeated is not None and _same_wish(repeated, until, days, actor or f"customer:{user_id}"):
                return _view(repeated, subscription.period_end)
            if repeated is not None and repeated.state == "requested":
                raise errors.PauseWhileChanging("Your subscription is being paused already. Look again in a moment.")
            rules.check_standing(held.standing)
            agreed = rules.terms(held.standing, rules.end_of_pause(until, days, now), now)
            pause = _new_pause(subscription, agreed, actor or f"customer:{user_id}", now)
            unit.session.add(pause)
            process_id = await self._processes.start(
                unit,
                PAUSE,
                subscription.id,
                user_id=user_id,
                data=await _process_data(unit, subscription, pause.id, pause.actor, agreed.resume_at),
            )
            await unit.commit()
        _check_outcome(await self._processes.run(process_id))
        return await self._view_of(pause.id)

    async def move(
        self, user_id: str, *, until: datetime | None = None, days: int | None = None, actor: str | None = None
    ) -> PauseView:
        """Gives the pause that runs another end: a time, some days from now, or (with neither) none.

        Raises `NotPaused`, `InvalidPauseEnd`, `PauseWhileChanging`, `PauseRefused`. The same wish again is harmless.
        """
        async with self._units() as unit:
            now = unit.clock.now()
            held = await self._held(unit, user_id, locking=True)
            pause = await _open_pause(unit, held.subscription.whop_membership_id)
            if pause is None or pause.paused_at is None:
                raise errors.NotPaused("Your subscription is not paused.")
            resume_at = rules.end_of_pause(until, days, now)
            rules.check_movable(held.standing)
            agreed = rules.terms(held.standing, resume_at, now, paused_at=pause.paused_at)
            if agreed.resume_at == pause.resume_at:
                return _view(pause, held.subscription.period_end)
            data = await _process_data(
                unit, held.subscription, pause.id, actor or f"customer:{user_id}", agreed.resume_at
            )
            process_id = await self._processes.start(unit, MOVE, held.subscription.id, user_id=user_id, data=data)
            await unit.commit()
        _check_outcome(await self._processes.run(process_id))
        return await self._view_of(pause.id)

    async def resume(self, user_id: str, *, actor: str | None = None) -> PauseView:
        """Has collection go on now. Raises `NotPaused`, `PauseRefused`, `ProcessRunning`."""
        async with self._units() as unit:
            held = await self._held(unit, user_id, locking=True)
            subscription = held.subscription
            pause = await _open_pause(unit, subscription.whop_membership_id)
            if subscription.status != "paused" or pause is None:
                raise errors.NotPaused("Your subscription is not paused.")
            process_id = await self._processes.running(unit, RESUME, subscription.id)
            if process_id is None:
                process_id = await self._processes.start(
                    unit,
                    RESUME,
                    subscription.id,
                    user_id=user_id,
                    data=await _process_data(unit, subscription, pause.id, actor or f"customer:{user_id}", None),
                )
            await unit.commit()
        _check_outcome(await self._processes.run(process_id))
        return await self._view_of(pause.id)

    async def current(self, unit: UnitOfWork, user_id: str) -> PauseView | None:
        """The customer's pause that is running or being made; None without one."""
        row = (
            await unit.session.execute(
                select(Pause, Subscription.period_end)
                .join(Subscription, Subscription.id == Pause.subscription_id)
                .where(
                    Subscription.user_id == user_id,
                    Subscription.status.in_(LIVE),
                    Pause.state.in_(("requested", "running")),
                )
                .limit(1)
            )
        ).one_or_none()
        return None if row is None else _view(row.Pause, row.period_end)

    async def _held(self, unit: UnitOfWork, user_id: str, *, locking: bool = False) -> _Held:
        query = select(Subscription).where(Subscription.user_id == user_id, Subscription.status.in_(LIVE))
        subscription = await unit.session.scalar(query.with_for_update() if locking else query)
        if subscription is None:
            raise errors.NothingToPause("You have no running subscription. Choose a plan first.")
        plan = (await catalog.plans_by_id(unit.session, [subscription.plan_id]))[subscription.plan_id]
        # A planned change of plan lets the membership run out: what takes its place is on its way.
        changing = await unit.session.scalar(
            select(
                exists().where(Process.subject_id == subscription.id, Process.state == State.RUNNING)
                | exists().where(
                    SubscriptionMembership.whop_membership_id == subscription.whop_membership_id,
                    SubscriptionMembership.superseded_at.is_not(None),
                )
            )
        )
        standing = Standing(
            status=subscription.status,
            renews=plan.kind == "recurring",
            cancel_at_period_end=subscription.cancel_at_period_end,
            period_end=subscription.period_end,
            access=plan.rules.pause.access,
            max_days=plan.rules.pause.max_days,
            is_changing=bool(changing),
        )
        return _Held(subscription, standing)

    async def _view_of(self, pause_id: str) -> PauseView:
        async with self._units() as unit:
            pause = await unit.session.get_one(Pause, pause_id)
            subscription = await unit.session.get_one(Subscription, pause.subscription_id)
            return _view(pause, subscription.period_end)

    async def _call_pause(self, run: Run) -> Answer:
        until = run.data["resume_at"]
        snapshot = await self._gateway.pause_membership(
            run.data["membership_id"],
            until=None if until is None else datetime.fromisoformat(until),
            idempotency_key=run.key,
        )
        return Answer(object=snapshot)

    async def _look_paused(self, run: Run) -> Answer | None:
        membership_id = run.data["membership_id"]
        if not await self._gateway.is_paused(membership_id, run.data["member_id"]):
            return None
        return Answer(object=await self._gateway.membership(membership_id))

    async def _call_resume(self, run: Run) -> Answer:
        """What has been resumed meanwhile, by the gateway or at its pages, is as good."""
        if not await self._gateway.is_paused(run.data["membership_id"], run.data["member_id"]):
            return Answer(object=await self._gateway.membership(run.data["membership_id"]))
        return Answer(object=await self._gateway.resume_membership(run.data["membership_id"], idempotency_key=run.key))

    async def _paused(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        until = run.data["resume_at"]
        resume_at = None if until is None else datetime.fromisoformat(until)
        await self._note(unit, run, answer.object, paused=True, resume_at=resume_at)
        return Finish()

    async def _moved(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """The pause may have ended while the gateway was asked; then nothing is left to move."""
        until = run.data["resume_at"]
        resume_at = None if until is None else datetime.fromisoformat(until)
        await self._note(unit, run, answer.object, paused=True, resume_at=resume_at)
        row = await unit.session.get_one(Subscription, run.subject_id, with_for_update=True, populate_existing=True)
        pause = await unit.session.get_one(Pause, run.data["pause_id"], with_for_update=True, populate_existing=True)
        if pause.state != "running" or pause.paused_at is None:
            return Finish()
        pause.resume_at = resume_at
        pause.access_until = rules.interrupted_at(row.pause_access_until, resume_at)
        pause.remind_at = rules.reminder_at(run.now, resume_at)
        pause.check_at = None if resume_at is None else resume_at + rules.CHECK_AFTER
        unit.record(
            PauseMoved(
                pause_id=pause.id,
                move_id=run.id,
                subscription_id=pause.subscription_id,
                user_id=pause.user_id,
                plan_id=pause.plan_id,
                resume_at=resume_at,
                access_until=pause.access_until,
                charge_at=None if resume_at is None else rules.next_charge(resume_at, row.period_end),
            )
        )
        return Finish()

    async def _resumed(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._note(unit, run, answer.object, paused=False)
        return Finish()

    async def _note(
        self,
        unit: UnitOfWork,
        run: Run,
        snapshot: MembershipSnapshot,
        *,
        paused: bool,
        resume_at: datetime | None = None,
    ) -> None:
        actor = str(run.data["actor"])
        await note(unit, self._subscriptions, snapshot, run.id, actor, paused=paused, resume_at=resume_at)

    async def _pause_given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        await unit.session.execute(
            update(Pause)
            .where(Pause.id == run.data["pause_id"], Pause.state == "requested")
            .values(state="failed", error=why.reason, ended_at=run.now)
            .execution_options(synchronize_session=False)
        )

    async def _resume_given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """The pause goes on; what the gateway says of it reaches us as always."""


async def note(
    unit: UnitOfWork,
    subscriptions: SubscriptionService,
    snapshot: MembershipSnapshot,
    cause: str,
    actor: str,
    *,
    paused: bool,
    resume_at: datetime | None = None,
) -> None:
    """Applies a membership that was just read, and what was just found out of its pause, which it need not tell."""
    amendment = Amendment(snapshot.membership_id, cause, actor, paused=paused, resume_at=resume_at)
    await subscriptions.amend(unit, [amendment], await plan_terms(unit))
    await subscriptions.observe(unit, replace(snapshot, paused=paused), cause=cause, actor=actor)


def _check_outcome(view: View | None) -> None:
    """Raises `PauseRefused` for a process that was given up."""
    if view is not None and view.state is State.FAILED:
        raise errors.PauseRefused(
            "The payment provider did not allow this. Nothing was changed; try again, or write to us."
        )


async def _open_pause(unit: UnitOfWork, membership_id: str) -> Pause | None:
    pause: Pause | None = await unit.session.scalar(
        select(Pause).where(Pause.whop_membership_id == membership_id, Pause.state.in_(("requested", "running")))
    )
    return pause


def _same_wish(pause: Pause, until: datetime | None, days: int | None, actor: str) -> bool:
    """Whether a request repeats the one that led to this pause: a second click, a retry after a lost answer."""
    if pause.actor != actor:
        return False
    wanted = rules.end_of_pause(until, days, pause.requested_at)
    return wanted == pause.resume_at


def _new_pause(subscription: Subscription, agreed: Terms, actor: str, now: datetime) -> Pause:
    return Pause(
        id=new_id("pau", now),
        subscription_id=subscription.id,
        user_id=subscription.user_id,
        plan_id=subscription.plan_id,
        whop_membership_id=subscription.whop_membership_id,
        state="requested",
        actor=actor,
        requested_at=now,
        resume_at=agreed.resume_at,
        access_until=agreed.access_until,
    )


async def _process_data(
    unit: UnitOfWork, subscription: Subscription, pause_id: str, actor: str, resume_at: datetime | None
) -> dict[str, Any]:
    member_id = await unit.session.scalar(
        select(SubscriptionMembership.whop_member_id).where(
            SubscriptionMembership.whop_membership_id == subscription.whop_membership_id
        )
    )
    return {
        "pause_id": pause_id,
        "membership_id": subscription.whop_membership_id,
        "member_id": member_id or "",
        "actor": actor,
        "resume_at": None if resume_at is None else resume_at.isoformat(),
    }


def _view(pause: Pause, period_end: datetime | None) -> PauseView:
    charge_at = None if pause.resume_at is None else rules.next_charge(pause.resume_at, period_end)
    if pause.ended_at is not None:
        charge_at = rules.next_charge(pause.ended_at, period_end)
    return PauseView(
        id=pause.id,
        state=pause.state,
        paused_at=pause.paused_at,
        resume_at=pause.resume_at,
        access_until=pause.access_until,
        charge_at=charge_at,
        ended_at=pause.ended_at,
    )
