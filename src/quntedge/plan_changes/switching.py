"""The steps after the new plan is paid: the new membership speaks for the subscription, the old one ends, and what was
promised besides is given."""

from datetime import datetime, timedelta

from quntedge.gateway.errors import GatewayError, GatewayNotFound, GatewayRejected
from quntedge.gateway.port import MembershipSnapshot
from quntedge.kit.money import Money
from quntedge.plan_changes.changes import Tools, end, news, planned
from quntedge.plan_changes.claims import CHANGE_KEY
from quntedge.plan_changes.events import Stage
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.paying import membership_ended
from quntedge.processes.steps import Answer, Finish, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork

_ORDER = ("cancel_old", "retire_link", "archive_promo", "refund", "extend", "finish")
_ALMOST = timedelta(hours=12)
"""How far a period may be from where the days given would have put it and still count as extended."""


EARLY = timedelta(hours=1)
"""How long before a period's end its renewal may be charged, as far as anybody knows."""
PERIOD_END = "period_end"
"""Under this name the process knows when the period ended that the change was worked out from."""


class Switching:
    """From the paid membership to the finished change; also the end of a change that was not paid."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gateway = tools.gateway

    def steps(self) -> tuple[Step, ...]:
        """The steps, in their order."""
        return (
            Step("adopt", self._adopted, self._read_new),
            Step("cancel_old", self._old_canceled, self._cancel_old, self._find_canceled),
            Step("retire_link", self._link_retired, self._retire_link),
            Step("archive_promo", self._promo_archived, self._archive_promo),
            Step("refund", self._refunded, self._refund, self._find_refund, self._not_refunded),
            Step("extend", self._extended, self._extend, self._find_extension, self._not_extended),
            Step("finish", self._finished),
        )

    # The new membership joins the subscription, and from here on the end of the old one is expected.

    async def _read_new(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        snapshot = await self._gateway.membership(str(change.new_membership_id))
        end_ = snapshot.period_end
        return Answer({"period_end": None if end_ is None else end_.isoformat()}, object=snapshot)

    async def _adopted(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        await self._tools.observe(unit, change, answer.object)
        await self._tools.supersede(unit, change, expected=True)
        if change.moment == "now":
            change.effective_at = run.now
        await self._replace_planned(unit, change, run)
        return after("adopt", change)

    async def _replace_planned(self, unit: UnitOfWork, change: PlanChange, run: Run) -> None:
        """What was planned for the old membership has nothing to wait for any more."""
        other = await planned(unit, change.subscription_id)
        if other is not None and other.id != change.id:
            end(other, "replaced", run.now)
            await self._tools.wake(unit, [other.id])

    # The old one ends at the gateway. Ended already is as good.

    async def _cancel_old(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        try:
            canceled = await self._gateway.cancel_membership(
                change.old_membership_id, at_period_end=False, idempotency_key=run.key
            )
        except (GatewayRejected, GatewayNotFound):
            found = await self._find_canceled(run)
            if found is None:
                raise
            return found
        return Answer(object=canceled)

    async def _find_canceled(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        snapshot = await self._gateway.membership(change.old_membership_id)
        return Answer(object=snapshot) if membership_ended(snapshot.status) else None

    async def _old_canceled(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        snapshot: MembershipSnapshot = answer.object
        await self._tools.observe(unit, change, snapshot)
        agreed = run.data.get(PERIOD_END)
        if change.moment == "now" and agreed is not None and moment_of(agreed) <= run.now + EARLY:
            paid_until = None if snapshot.period_end is None else snapshot.period_end.isoformat()
            return GoTo("find_renewal", {"paid_until": paid_until})
        return after("cancel_old", change)

    # A link at the gateway can be paid many times; the one that served is closed.

    async def _retire_link(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        await self._gateway.retire_checkout(str(change.whop_checkout_id))
        return Answer()

    async def _link_retired(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return after("retire_link", await self._tools.locked(unit, run.subject_id))

    async def _archive_promo(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        if change.whop_promo_id is not None:
            await self._gateway.archive_promo(change.whop_promo_id)
        return Answer()

    async def _promo_archived(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Where a change that is paid and one that is not part again."""
        change = await self._tools.locked(unit, run.subject_id)
        if change.failure is None:
            return after("archive_promo", change)
        return GiveUp(change.failure) if change.moment == "now" else GoTo("not_collected")

    # What goes back to the card.

    async def _refund(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        await self._gateway.refund_payment(
            str(change.refund_payment_id),
            amount=Money(change.refund_minor, change.currency),
            metadata={CHANGE_KEY: change.id},
            idempotency_key=run.key,
        )
        return Answer()

    async def _find_refund(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        refunds = await self._gateway.refunds_of(str(change.refund_payment_id))
        return Answer() if any(one.metadata.get(CHANGE_KEY) == change.id for one in refunds) else None

    async def _refunded(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return after("refund", await self._tools.locked(unit, run.subject_id))

    async def _not_refunded(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """The plan is changed and paid; what we owe for it is for a person to settle, not a reason to undo it."""
        change = await self._tools.locked(unit, run.subject_id)
        change.review = "refund_refused"
        return after("refund", change)

    # Days for nothing, given once: the period tells whether they were.

    async def _extend(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        extended = await self._gateway.extend_membership(
            str(change.new_membership_id), days=change.extension_days, idempotency_key=run.key
        )
        return Answer(object=extended)

    async def _find_extension(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        snapshot = await self._gateway.membership(str(change.new_membership_id))
        before = run.answers.get("adopt", {}).get("period_end")
        if before is None or snapshot.period_end is None:
            return None
        expected = moment_of(before) + timedelta(days=change.extension_days)
        return Answer(object=snapshot) if snapshot.period_end >= expected - _ALMOST else None

    async def _extended(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        await self._tools.observe(unit, change, answer.object)
        return after("extend", change)

    async def _not_extended(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.review = "extension_refused"
        return after("extend", change)

    async def _finished(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        end(change, "done", run.now)
        stage = Stage.DONE_NOW if change.moment == "now" else Stage.DONE_LATER
        # With the taxes that were added on top, where we know what was collected.
        unit.record(news(change, stage, charged_minor=run.data.get("paid_minor")))
        return Finish()


def after(done: str, change: PlanChange) -> GoTo:
    """The next step that this change has need of."""
    needed = {
        "cancel_old": True,
        "retire_link": change.whop_checkout_id is not None,
        "archive_promo": change.whop_promo_id is not None,
        "refund": change.refund_minor > 0,
        "extend": change.extension_days > 0,
        "finish": True,
    }
    start = _ORDER.index(done) + 1 if done in _ORDER else 0
    return GoTo(next(step for step in _ORDER[start:] if needed[step]))


def moment_of(text: str) -> datetime:
    """A time that a step has kept as text."""
    return datetime.fromisoformat(text)
