"""Ending a subscription because its payment is disputed, where the plan says so: one call, never blindly repeated."""

from sqlalchemy import select

from quntedge.disputes.events import DisputedEndFailed
from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import MembershipSnapshot, MembershipStatus
from quntedge.processes.runner import ProcessRunner, ProcessRunning
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import CancellationRequested
from quntedge.subscriptions.models import LIVE, Subscription
from quntedge.subscriptions.service import SubscriptionService

KIND = "dispute_end"
REASON = "A payment was disputed."
"""Told to the gateway."""

_ENDED = frozenset({MembershipStatus.CANCELED, MembershipStatus.EXPIRED})


class DisputedEnding:
    """Ends subscriptions at once. Nothing is refunded: the bank has seen to that."""

    def __init__(self, processes: ProcessRunner, gateway: MembershipActs, subscriptions: SubscriptionService) -> None:
        """Makes the kind of process known to the runner."""
        self._processes = processes
        self._gateway = gateway
        self._subscriptions = subscriptions
        processes.add(
            Definition.of(
                KIND,
                Step("cancel", self._settled, call=self._cancel, look=self._look, refused=_look_again),
                Step("check", self._settled, call=self._read),
                given_up=self._given_up,
            )
        )

    async def start(self, unit: UnitOfWork, subscription_id: str, dispute_id: str, transaction_id: str) -> None:
        """Plans the end, in the caller's transaction; a worker carries it out. Nothing to do for one that has ended."""
        subscription = await unit.session.scalar(
            select(Subscription).where(Subscription.id == subscription_id, Subscription.status.in_(LIVE))
        )
        if subscription is None:
            return
        data = {
            "membership_id": subscription.whop_membership_id,
            "dispute_id": dispute_id,
            "transaction_id": transaction_id,
        }
        try:
            await self._processes.start(
                unit, KIND, subscription_id, user_id=subscription.user_id, data=data, later=True
            )
        except ProcessRunning:
            return  # another dispute of the same subscription is just ending it
        unit.record(
            CancellationRequested(
                subscription_id, subscription.user_id, at_period_end=False, actor="system", cause=dispute_id
            )
        )

    async def _cancel(self, run: Run) -> Answer:
        return _answer(
            await self._gateway.cancel_membership(
                run.data["membership_id"], at_period_end=False, reason=REASON, idempotency_key=run.key
            )
        )

    async def _look(self, run: Run) -> Answer | None:
        snapshot = await self._gateway.membership(run.data["membership_id"])
        return _answer(snapshot) if snapshot.status in _ENDED else None

    async def _read(self, run: Run) -> Answer:
        return _answer(await self._gateway.membership(run.data["membership_id"]))

    async def _settled(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        snapshot: MembershipSnapshot = answer.object
        await self._subscriptions.observe(unit, snapshot, cause=run.data["dispute_id"], actor="system")
        if snapshot.status not in _ENDED:
            return GiveUp("still_running", str(run.data.get("refusal", "The gateway did not end the membership.")))
        return Finish()

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        unit.record(
            DisputedEndFailed(
                run.data["dispute_id"],
                run.data["transaction_id"],
                run.subject_id,
                run.user_id or "",
                f"{why.reason}: {why.detail}"[:300],
            )
        )


async def _look_again(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
    """Refused, perhaps because it has ended already: the gateway is asked, in a step of its own."""
    return GoTo("check", {"refusal": str(error)[:300]})


def _answer(snapshot: MembershipSnapshot) -> Answer:
    return Answer({"status": snapshot.status.value}, object=snapshot)
