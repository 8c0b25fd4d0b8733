"""How a cancellation, and its withdrawal, are carried out at the gateway: one call, settled with what it answered.

Both are processes of one kind, so that at most one of them runs for a subscription: nobody can take back what is still
being done. A withdrawal from the contract goes the same way under a kind of its own: it waits for nobody.
"""

from datetime import timedelta

from sqlalchemy import select, update

from quntedge.cancellations.beginning import CANCEL, KEEP, KIND, WITHDRAWAL_KIND
from quntedge.cancellations.models import Cancellation
from quntedge.cancellations.outcomes import CancellationOutcomes
from quntedge.cancellations.rules import Timing
from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.service import SubscriptionService

ASK_AGAIN = timedelta(days=1)
"""How long after a refusal the gateway is asked again to end what was withdrawn from."""

_ENDED = frozenset({MembershipStatus.CANCELED, MembershipStatus.EXPIRED})


class CancellationSteps:
    """The steps. What a process has to know is in its data: `act`, `membership_id`, `cancellation_id`, `timing`,
    `reason`, `actor`, and `replaces` for a cancellation that this one took the place of."""

    def __init__(
        self, gateway: MembershipActs, subscriptions: SubscriptionService, outcomes: CancellationOutcomes
    ) -> None:
        self._gateway = gateway
        self._subscriptions = subscriptions
        self._outcomes = outcomes

    def definition(self, kind: str = KIND) -> Definition:
        """The kind of process, for the runner."""
        return Definition.of(
            kind,
            Step("begin", self._begin),
            Step(CANCEL, self._settle_cancel, call=self._cancel, look=self._look_canceled, refused=self._look_again),
            Step(KEEP, self._settle_keep, call=self._keep, refused=self._look_again),
            Step("look", self._settle_look, call=self._read, refused=self._unreadable),
            given_up=self._given_up,
        )

    async def _begin(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return GoTo(run.data["act"])

    async def _cancel(self, run: Run) -> Answer:
        snapshot = await self._gateway.cancel_membership(
            run.data["membership_id"],
            at_period_end=run.data["timing"] == Timing.PERIOD_END,
            reason=run.data["reason"],
            idempotency_key=run.key,
        )
        return _answer(snapshot)

    async def _keep(self, run: Run) -> Answer:
        return _answer(await self._gateway.keep_membership(run.data["membership_id"]))

    async def _read(self, run: Run) -> Answer:
        return _answer(await self._gateway.membership(run.data["membership_id"]))

    async def _look_canceled(self, run: Run) -> Answer | None:
        snapshot = await self._gateway.membership(run.data["membership_id"])
        return _answer(snapshot) if _is_canceled(snapshot, run) else None

    async def _look_again(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """Refused: perhaps because it is so already. The gateway is asked, in a step of its own."""
        return GoTo("look", {"refusal": str(error)[:500]})

    async def _settle_cancel(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._apply(unit, run, answer.object)
        if not _is_canceled(answer.object, run):
            return _not_done(run, "not_canceled", "The gateway answered, but has not canceled.")
        await self._close(unit, run)
        return Finish()

    async def _settle_keep(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._apply(unit, run, answer.object)
        return Finish() if _is_kept(answer.object) else GiveUp("not_kept", "The gateway answered, but still ends it.")

    async def _settle_look(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._apply(unit, run, answer.object)
        wanted = _is_canceled(answer.object, run) if run.data["act"] == CANCEL else _is_kept(answer.object)
        if not wanted:
            return _not_done(run, "refused", str(run.data["refusal"]))
        await self._close(unit, run)
        return Finish()

    async def _unreadable(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """The gateway does not even show the membership."""
        return _not_done(run, error.code, str(error))

    async def _apply(self, unit: UnitOfWork, run: Run, snapshot: MembershipSnapshot) -> None:
        await self._subscriptions.observe(unit, snapshot, cause=run.data["cancellation_id"], actor=run.data["actor"])
        # The webhook may have been faster: then nothing has changed just now, and no fact says so.
        await self._outcomes.settle(unit, [run.subject_id])

    async def _close(self, unit: UnitOfWork, run: Run) -> None:
        """The gateway did it, but newer news says that it is so no more: it was undone there meanwhile."""
        await unit.session.execute(
            update(Cancellation)
            .where(Cancellation.id == run.data["cancellation_id"], Cancellation.state == "requested")
            .values(state="undone", undone_at=unit.clock.now())
        )

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        if run.data["act"] == KEEP:
            return
        row = await unit.session.scalar(
            select(Cancellation).where(Cancellation.id == run.data["cancellation_id"]).with_for_update()
        )
        if row is None or row.state != "requested":
            return
        row.state, row.failure = "failed", why.reason
        await unit.session.flush()
        if run.data["replaces"] is not None:
            # What was to happen at the period's end before is still to happen then.
            await unit.session.execute(
                update(Cancellation)
                .where(Cancellation.id == run.data["replaces"], Cancellation.state == "replaced")
                .values(state="scheduled")
            )


def _not_done(run: Run, reason: str, detail: str) -> Next:
    """The gateway will not do it. Whoever cancels is told so and may try again. A contract withdrawn from has ended,
    whatever the gateway says: it is asked again every day, while staff see that it goes on there."""
    if run.kind == WITHDRAWAL_KIND:
        return WaitFor(CANCEL, run.now + ASK_AGAIN, {"refusal": detail[:500]})
    return GiveUp(reason, detail)


def _answer(snapshot: MembershipSnapshot) -> Answer:
    return Answer({"status": snapshot.status.value, "flag": snapshot.cancel_at_period_end}, object=snapshot)


def _is_canceled(snapshot: MembershipSnapshot, run: Run) -> bool:
    if snapshot.status in _ENDED:
        return True
    return run.data["timing"] == Timing.PERIOD_END and snapshot.cancel_at_period_end


def _is_kept(snapshot: MembershipSnapshot) -> bool:
    return snapshot.status not in _ENDED and not snapshot.cancel_at_period_end
