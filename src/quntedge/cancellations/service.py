"""CancellationService: what ending would mean, ending, and taking it back."""

from dataclasses import dataclass
from datetime import datetime

from quntedge.cancellations import rules
from quntedge.cancellations.beginning import CANCEL, KEEP, KIND, process_data
from quntedge.cancellations.errors import CancellationRefused, NothingToCancel, NothingToResume, ResumeRefused
from quntedge.cancellations.models import Cancellation
from quntedge.cancellations.offers import OfferView, SaveOfferService
from quntedge.cancellations.outcomes import GATEWAY_ACTOR, PLANNED_ACTOR, PREFIX, CancellationOutcomes
from quntedge.cancellations.queries import (
    CancellationView,
    latest_cancellation,
    live_subscription,
    open_cancellation,
    situation_of,
)
from quntedge.cancellations.rules import Option, Survey, Timing
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.processes.models import Process
from quntedge.processes.runner import ProcessRunner, ProcessRunning
from quntedge.processes.steps import State
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn
from quntedge.subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class Preview:
    """What canceling would mean. `scheduled` is the cancellation that is to come already, if there is one.

    `next_charge` is what the end of the period would cost otherwise; None when nothing would be charged.
    """

    subscription_id: str
    plan_code: str
    plan_name: str
    status: str
    options: tuple[Option, ...]
    next_charge: Money | None
    scheduled: CancellationView | None
    offer: OfferView | None


def new_cancellation_id(at: datetime) -> str:
    """An id for a cancellation that is about to be made: the key under which repeating it is harmless."""
    return new_id(PREFIX, at)


class CancellationService:
    """Ends subscriptions at the wish of their customers. Opens and commits its own units of work: it calls the gateway.

    A cancellation survives a crash at any point: `cancel` and `resume` only begin a process and wait for what it comes
    to; a worker goes on with one that was left.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        vault: Vault,
        offers: SaveOfferService,
        outcomes: CancellationOutcomes,
    ) -> None:
        self._units = units
        self._processes = processes
        self._vault = vault
        self._offers = offers
        self._outcomes = outcomes

    async def preview(self, user_id: str) -> Preview:
        """What canceling would mean now, and the offer to stay where there is one, which counts as shown then.

        Raises `NothingToCancel`, `NothingRenews`.
        """
        async with self._units() as unit:
            subscription, plan = await _live(unit, user_id)
            situation, now = situation_of(subscription, plan.name), unit.clock.now()
            rules.choose(situation, None, now)
            scheduled = await open_cancellation(unit.session, subscription.id)
            offer = None
            if scheduled is None and not subscription.cancel_at_period_end:
                offer = await self._offers.show(unit, subscription, plan)
            await unit.commit()
        return Preview(
            subscription_id=subscription.id,
            plan_code=plan.code,
            plan_name=plan.name,
            status=subscription.status,
            options=rules.options(situation, now),
            next_charge=_next_charge(subscription, plan),
            scheduled=CancellationView.of(scheduled) if scheduled else None,
            offer=offer,
        )

    async def cancel(
        self,
        user_id: str,
        *,
        key: str,
        when: Timing | None = None,
        reason: str | None = None,
        feedback: str | None = None,
        actor: str | None = None,
    ) -> CancellationView:
        """Cancels the live subscription of a user, `when` as asked, by default as the status suggests.

        `key` is an id from `new_cancellation_id`; the same key goes on with the same cancellation. What is canceled
        already is answered as it is. A view in the state `requested` says that the gateway has not answered clearly
        yet; a worker goes on. Raises `InvalidSurvey`, `NothingToCancel`, `NothingRenews`, `OnlyAtOnce`,
        `ProcessRunning` while something else is being done to the subscription, `CancellationRefused`.
        """
        answers = rules.survey(reason, feedback)
        async with self._units() as unit:
            row = await self._prepare(unit, user_id, key, when, answers, actor or f"customer:{user_id}")
            cancellation_id, process_id = row.id, row.process_id
            await unit.commit()
        if process_id is not None:
            await self._processes.run(process_id)
        async with self._units() as unit:
            row = await unit.session.get_one(Cancellation, cancellation_id)
            if row.state == "failed":
                raise CancellationRefused(
                    "The payment provider did not accept the cancellation, and nothing has changed. Try again, or "
                    "write to us and we cancel it for you."
                )
            return CancellationView.of(row)

    async def resume(self, user_id: str, *, actor: str | None = None) -> CancellationView:
        """Takes back a cancellation at the period's end. Repeating it is harmless.

        Raises `NothingToResume`, `ProcessRunning` while the cancellation is being carried out, `ResumeRefused`.
        """
        async with self._units() as unit:
            cancellation_id, process_id = await self._prepare_resume(unit, user_id, actor or f"customer:{user_id}")
            await unit.commit()
        view = None if process_id is None else await self._processes.run(process_id)
        if view is not None and view.state is State.FAILED:
            raise ResumeRefused(
                "The payment provider did not take the cancellation back, perhaps because the subscription has just "
                "ended. Look at your billing page; you can choose a plan again at any time."
            )
        async with self._units() as unit:
            return CancellationView.of(await unit.session.get_one(Cancellation, cancellation_id))

    async def record(
        self,
        unit: UnitOfWork,
        subscription: Subscription,
        option: Option,
        key: str,
        answers: Survey,
        actor: str,
        *,
        replaced: Cancellation | None = None,
        kind: str = KIND,
    ) -> Cancellation:
        """Writes the wish and begins its process, in the caller's transaction; whoever commits goes on with `run`.

        The subscription must be locked. Raises `ProcessRunning`.
        """
        taken_from = replaced.id if replaced is not None and replaced.state == "scheduled" else None
        if replaced is not None:
            replaced.state = "replaced"
            await unit.session.flush()
        reason = answers.reason.value if answers.reason else None
        data = process_data(
            CANCEL,
            subscription.whop_membership_id,
            key,
            option.timing,
            actor,
            reason=reason,
            replaces=taken_from,
        )
        user_id = subscription.user_id
        process_id = await self._processes.start(unit, kind, subscription.id, user_id=user_id, data=data)
        row = Cancellation(
            id=key,
            subscription_id=subscription.id,
            user_id=user_id,
            whop_membership_id=subscription.whop_membership_id,
            process_id=process_id,
            timing=option.timing,
            state="requested",
            reason=reason,
            actor=actor,
            requested_at=unit.clock.now(),
            ends_at=option.ends_at,
            access_until=option.access_until,
        )
        if answers.feedback is not None:
            cipher = await self._vault.cipher(unit.session, user_id)
            row.feedback = cipher.seal("cancellation", "feedback", key, answers.feedback)
        unit.session.add(row)
        await unit.session.flush()
        at_period_end = option.timing is Timing.PERIOD_END
        unit.record(CancellationRequested(subscription.id, user_id, at_period_end, actor, key))
        return row

    async def _prepare(
        self, unit: UnitOfWork, user_id: str, key: str, when: Timing | None, answers: Survey, actor: str
    ) -> Cancellation:
        held = await unit.session.get(Cancellation, key)
        if held is not None:
            return held
        subscription, plan = await _live(unit, user_id, lock=True)
        option = rules.choose(situation_of(subscription, plan.name), when, unit.clock.now())
        coming = await open_cancellation(unit.session, subscription.id)
        if coming is not None and coming.timing in (option.timing, Timing.NOW):
            return coming
        await self._offers.decline(unit, user_id)
        return await self.record(unit, subscription, option, key, answers, actor, replaced=coming)

    async def _prepare_resume(self, unit: UnitOfWork, user_id: str, actor: str) -> tuple[str, str | None]:
        subscription = await live_subscription(unit.session, user_id, lock=True)
        if subscription is None:
            raise NothingToResume("Your subscription has ended. Choose a plan to come back; your data is still here.")
        coming = await open_cancellation(unit.session, subscription.id)
        if coming is None and not subscription.cancel_at_period_end:
            latest = await latest_cancellation(unit.session, subscription.id)
            if latest is not None and latest.state == "undone":
                return latest.id, None
            raise NothingToResume("Your subscription is not set to end. It renews as usual.")
        running = await self._processes.running(unit, KIND, subscription.id)
        if running is not None:
            return await _under_way(unit, running, coming)
        if coming is not None and coming.state == "requested":
            raise _being_canceled()
        row = coming or await self._made_elsewhere(unit, subscription)
        data = process_data(KEEP, subscription.whop_membership_id, row.id, row.timing, actor)
        process_id = await self._processes.start(unit, KIND, subscription.id, user_id=user_id, data=data)
        unit.record(CancellationWithdrawn(subscription.id, user_id, actor, row.id))
        return row.id, process_id

    async def _made_elsewhere(self, unit: UnitOfWork, subscription: Subscription) -> Cancellation:
        """The row of a cancellation that nobody has told us of: the subscription alone shows it."""
        planned = await self._outcomes.is_planned(unit, subscription.user_id)
        now = unit.clock.now()
        row = Cancellation(
            id=new_id(PREFIX, now),
            subscription_id=subscription.id,
            user_id=subscription.user_id,
            whop_membership_id=subscription.whop_membership_id,
            timing=Timing.PERIOD_END,
            state="scheduled",
            actor=PLANNED_ACTOR if planned else GATEWAY_ACTOR,
            requested_at=now,
            ends_at=subscription.period_end,
            access_until=subscription.period_end,
        )
        unit.session.add(row)
        await unit.session.flush()
        return row


async def _under_way(unit: UnitOfWork, process_id: str, coming: Cancellation | None) -> tuple[str, str]:
    """A second click goes on with what the first began; a cancellation that is being carried out goes first."""
    process = await unit.session.get_one(Process, process_id)
    if coming is None or process.data["act"] != KEEP:
        raise _being_canceled()
    return coming.id, process_id


def _being_canceled() -> ProcessRunning:
    return ProcessRunning("The cancellation is just being passed on to the payment provider. Take it back in a minute.")


async def _live(unit: UnitOfWork, user_id: str, *, lock: bool = False) -> tuple[Subscription, PlanView]:
    subscription = await live_subscription(unit.session, user_id, lock=lock)
    if subscription is None:
        raise NothingToCancel("You have no running subscription, so nothing will be charged.")
    plans = await catalog.plans_by_id(unit.session, [subscription.plan_id])
    return subscription, plans[subscription.plan_id]


def _next_charge(subscription: Subscription, plan: PlanView) -> Money | None:
    if subscription.cancel_at_period_end or plan.kind != "recurring":
        return None
    if subscription.renewal_price_minor is not None and subscription.currency is not None:
        return Money(subscription.renewal_price_minor, subscription.currency)
    return plan.price
