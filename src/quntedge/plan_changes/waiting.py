"""The steps of a change that happens when the period ends: let the old plan run out, wait, collect, or take it back."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from quntedge.catalog.models import Plan
from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import MembershipSnapshot
from quntedge.plan_changes.changes import Tools, end, is_open, news, to_free, usable
from quntedge.plan_changes.events import Stage
from quntedge.plan_changes.models import RUNNING, PlanChange
from quntedge.plan_changes.paying import membership_ended, to_charge
from quntedge.processes.steps import Answer, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.storage.unit_of_work import UnitOfWork

RETRY_DAYS: Final = (1, 3)
"""Days after the end of the period at which a declined charge is tried again, as far as the plan's grace goes."""

_LOOK_AGAIN = timedelta(minutes=1)
_RUNNING_FIRST = timedelta(minutes=10)
_EARLY = timedelta(hours=1)
"""A membership that ended so much before its period did was ended by somebody, not by the end of the period."""


class Waiting:
    """Schedules, keeps watch, and begins to collect."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gateway = tools.gateway

    def steps(self) -> tuple[Step, ...]:
        """The steps, in the order in which they usually come."""
        return (
            Step("stop_old", self._stopped, self._stop_old, refused=self._not_stopped),
            Step("at_period_end", self._looked, self._read_old),
            Step("keep", self._kept, self._keep, refused=self._not_kept),
            Step("pick_method", self._picked, self._methods),
            Step("not_collected", self._not_collected),
            Step("tell_not_collected", self._told),
            Step("retry", self._retried),
        )

    # The old membership is not to renew. That it ends is expected from the start: see `PlanChangeService`.

    async def _stop_old(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        stopped = await self._gateway.cancel_membership(
            change.old_membership_id, at_period_end=True, idempotency_key=run.key
        )
        return Answer(object=stopped)

    async def _stopped(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        snapshot: MembershipSnapshot = answer.object
        await self._tools.observe(unit, change, snapshot)
        if not is_open(change):
            return Finish()
        if change.state == "withdrawing":
            return GoTo("keep")
        change.state = "scheduled"
        change.effective_at = snapshot.period_end or change.effective_at or run.now
        unit.record(news(change, Stage.SCHEDULED))
        return WaitFor("at_period_end", change.effective_at)

    async def _not_stopped(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        return GiveUp("refused", str(error))

    # Woken at the end of the period, or before it because something is new.

    async def _read_old(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        return Answer(object=await self._gateway.membership(change.old_membership_id))

    async def _looked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        if not is_open(change):
            return Finish()
        if change.state == "withdrawing":
            return GoTo("keep")
        if await _another_runs(unit, change):
            return WaitFor("at_period_end", run.now + _RUNNING_FIRST)
        snapshot: MembershipSnapshot = answer.object
        await self._tools.observe(unit, change, snapshot)
        ended, period_end = membership_ended(snapshot.status), snapshot.period_end or run.now
        if not ended and not snapshot.cancel_at_period_end:
            return await self._withdrawn(unit, change, run)
        if not ended and period_end > run.now:
            change.effective_at = period_end
            return WaitFor("at_period_end", period_end)
        if ended and _ended_early(snapshot, change):
            return await self._dropped(unit, change, run)
        return await self._period_over(unit, change, run, ended=ended)

    async def _period_over(self, unit: UnitOfWork, change: PlanChange, run: Run, *, ended: bool) -> Next:
        if not to_free(change):
            change.state = "collecting"
            return GoTo("pick_method")
        if not ended:
            return WaitFor("at_period_end", run.now + _LOOK_AGAIN)
        end(change, "done", run.now)
        unit.record(news(change, Stage.DONE_LATER, ended=True))
        return Finish()

    async def _dropped(self, unit: UnitOfWork, change: PlanChange, run: Run) -> Next:
        """Somebody ended the old membership at the gateway before its time: nothing is charged after that."""
        await self._tools.supersede(unit, change, expected=False)
        end(change, "dropped", run.now)
        return Finish()

    # Taken back: here, by the customer, or at the gateway, where the buyer has had the membership go on.

    async def _keep(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        return Answer(object=await self._gateway.keep_membership(change.old_membership_id))

    async def _kept(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        await self._tools.observe(unit, change, answer.object)
        return await self._withdrawn(unit, change, run) if is_open(change) else Finish()

    async def _not_kept(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """It has ended in between: too late, so the change takes place."""
        change = await self._tools.locked(unit, run.subject_id)
        if is_open(change):
            change.state = "scheduled"
        return GoTo("at_period_end")

    async def _withdrawn(self, unit: UnitOfWork, change: PlanChange, run: Run) -> Next:
        await self._tools.supersede(unit, change, expected=False)
        end(change, "withdrawn", run.now)
        if change.failure != "switched":  # the switch itself is told when it is heard of
            unit.record(news(change, Stage.WITHDRAWN))
        return Finish()

    # The period is over. Access goes on while the new plan is being collected.

    async def _methods(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        if change.whop_member_id is None:
            return Answer({"method_id": None})
        method = usable(await self._gateway.methods_of(change.whop_member_id), change.whop_method_id)
        return Answer({"method_id": None if method is None else method.method_id})

    async def _picked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        if not is_open(change):
            return Finish()
        if change.new_membership_id is not None:
            return GoTo("adopt")
        method_id = answer.data["method_id"]
        if method_id is None:
            change.failure = "no_method"
            return GoTo("not_collected")
        change.whop_method_id, change.pay_by = str(method_id), "method"
        return to_charge(run)

    async def _not_collected(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Tried again on one of the following days, while the customer can pay by a link; then given up."""
        change = await self._tools.locked(unit, run.subject_id)
        if not is_open(change) or await _next_attempt(unit, change) is None:
            return GoTo("close_checkout")
        return GoTo("open_checkout")

    async def _told(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        at = await _next_attempt(unit, change)
        if not is_open(change) or at is None:
            return GoTo("close_checkout")
        unit.record(news(change, Stage.NOT_COLLECTED, next_attempt_at=at))
        return WaitFor("retry", at)

    async def _retried(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """The link is closed before the card is charged: only one of the two may be paid."""
        change = await self._tools.locked(unit, run.subject_id)
        if change.new_membership_id is not None and is_open(change):
            change.failure = None
            return GoTo("adopt")
        at = await _next_attempt(unit, change)
        if is_open(change) and at is not None and run.now < at:
            return WaitFor("retry", at)
        change.attempt += 1
        change.failure = change.whop_payment_id = None
        return GoTo("close_checkout")


def _ended_early(snapshot: MembershipSnapshot, change: PlanChange) -> bool:
    if snapshot.updated_at is None or change.effective_at is None:
        return False
    return snapshot.updated_at < change.effective_at - _EARLY


async def _another_runs(unit: UnitOfWork, change: PlanChange) -> bool:
    """Whether the customer is just changing to something else, which this has to wait for."""
    found = await unit.session.scalar(
        select(PlanChange.id).where(PlanChange.subscription_id == change.subscription_id, PlanChange.state.in_(RUNNING))
    )
    return found is not None


async def _next_attempt(unit: UnitOfWork, change: PlanChange) -> datetime | None:
    """When a declined charge is tried again; None when it was tried often enough."""
    grace_days = await unit.session.scalar(select(Plan.grace_days).where(Plan.id == change.from_plan_id))
    return next_attempt(change.attempt, change.effective_at, grace_days or 0)


def next_attempt(attempt: int, effective_at: datetime | None, grace_days: int) -> datetime | None:
    """The time of the attempt after this one, counted from 1."""
    if effective_at is None or attempt > len(RETRY_DAYS):
        return None
    days = RETRY_DAYS[attempt - 1]
    return effective_at + timedelta(days=days) if days <= grace_days else None
