"""DunningService: keeps a case for every unpaid renewal, and does what falls due by itself."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from quntedge.dunning import rules
from quntedge.dunning.cases import Cases
from quntedge.dunning.events import AccessPaused, GraceEnding
from quntedge.dunning.models import DunningCase
from quntedge.dunning.rules import State
from quntedge.kit.logging import get_logger
from quntedge.payments.events import PaymentRecorded
from quntedge.processes.runner import ProcessRunner, ProcessRunning
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions import notes
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn, SubscriptionChanged
from quntedge.subscriptions.machine import ACCESS_PAUSED
from quntedge.subscriptions.models import Subscription

RETRY = "dunning_retry"
"""Kind of the process that looks a payment up and, where that is due and allowed, tries it again."""
END = "dunning_end"
"""Kind of the process that ends a subscription nobody pays for."""

BATCH = 100

log = get_logger(__name__)


class DunningService:
    """The subscribers and the sweep. The subscribers only read and write; the gateway is for the processes."""

    def __init__(self, units: UnitOfWorkFactory, processes: ProcessRunner, *, default_zone: str = "UTC") -> None:
        """`default_zone` is where customers live who have not told (an IANA name)."""
        self._units = units
        self._processes = processes
        self._default_zone = default_zone

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Opens a case for a renewal that failed, and takes over what became of those that did."""
        renewals = [f for f in facts if f.subscription_id is not None and f.billing_reason in rules.RENEWALS]
        failing = [f for f in renewals if rules.opens(f.status, f.billing_reason)]
        # One that was paid when we first heard of it, or never failed, has no case.
        known = {
            f.whop_payment_id
            for f in renewals
            if f.before_status is not None and (f.attempts_failed or f.before_status != "open")
        }
        await self._refresh(
            unit,
            payments=known | {f.whop_payment_id for f in failing},
            subscriptions={f.subscription_id for f in failing if f.subscription_id is not None},
            opening={f.whop_payment_id for f in failing},
        )

    async def on_subscriptions_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Past due since when, paid again, or at its end: the cases follow."""
        moved = ("status", "grace_until", "membership_id", "ended_at", "plan_id")
        await self._refresh(
            unit, subscriptions={f.subscription_id for f in facts if not f.started and f.touches(*moved)}
        )

    async def on_cancellation_requested(self, unit: UnitOfWork, facts: Sequence[CancellationRequested]) -> None:
        """Who wants to leave is not charged any more."""
        await self._note_cancellation(unit, {f.subscription_id for f in facts}, requested=True)

    async def on_cancellation_withdrawn(self, unit: UnitOfWork, facts: Sequence[CancellationWithdrawn]) -> None:
        """Who stays after all is."""
        await self._note_cancellation(unit, {f.subscription_id for f in facts}, requested=False)

    async def _note_cancellation(self, unit: UnitOfWork, subscriptions: Collection[str], *, requested: bool) -> None:
        cases = Cases(unit, self._default_zone)
        await cases.load(subscriptions=subscriptions)
        for case in cases.open_cases():
            case.cancel_requested = requested
        cases.refresh()

    async def _refresh(
        self,
        unit: UnitOfWork,
        payments: Collection[str] = (),
        subscriptions: Collection[str] = (),
        opening: Collection[str] = (),
    ) -> None:
        if not payments and not subscriptions:
            return
        cases = Cases(unit, self._default_zone)
        await cases.load(payments, subscriptions, opening)
        await cases.open_new(opening)
        cases.refresh()
        await unit.session.flush()

    async def work_due(self) -> int:
        """Does what is due by the clock: reminders, the end of grace, attempts, looks, ends. How many cases there were.

        Attempts and ends become processes that a worker goes on with.
        """
        count = 0
        while True:
            async with self._units() as unit:
                done = await self._work(unit, unit.clock.now())
                await unit.commit()
            count += done
            if done < BATCH:
                return count

    async def _work(self, unit: UnitOfWork, now: datetime) -> int:
        due = await self._claimed(unit, now)
        if not due:
            return 0
        cases = Cases(unit, self._default_zone)
        await cases.load_ids(due)
        cases.refresh()
        for case in cases.open_cases():
            pauses = _is_due(case.pause_access_at, now) and case.grace_until is not None
            self._tell(unit, case, now)
            if pauses:
                await notes.append(
                    unit,
                    case.subscription_id,
                    ACCESS_PAUSED,
                    actor="system",
                    cause=case.id,
                    facts={"access_paused_at": now.isoformat()},
                )
            await self._set_off(unit, case, now)
            cases.plan(case)
        return len(due)

    @staticmethod
    async def _claimed(unit: UnitOfWork, now: datetime) -> list[str]:
        """The cases that are due and in nobody's hands, locked.

        Where access is going to rest, the history of the subscription gets an entry; subscriptions are locked before
        the cases that hang on them, as everybody does. What another worker holds is left to it.
        """
        rows = (
            await unit.session.execute(
                select(DunningCase.id, DunningCase.subscription_id, DunningCase.pause_access_at)
                .where(DunningCase.state == State.OPEN, DunningCase.next_due_at <= now)
                .order_by(DunningCase.next_due_at, DunningCase.id)
                .limit(BATCH)
            )
        ).all()
        resting = {row.subscription_id for row in rows if _is_due(row.pause_access_at, now)}
        held: set[str] = set()
        if resting:
            locked = await unit.session.scalars(
                select(Subscription.id)
                .where(Subscription.id.in_(sorted(resting)))
                .order_by(Subscription.id)
                .with_for_update(skip_locked=True)
            )
            held = set(locked.all())
        ours = [row.id for row in rows if row.subscription_id not in resting or row.subscription_id in held]
        claimed = await unit.session.scalars(
            select(DunningCase.id)
            .where(DunningCase.id.in_(ours), DunningCase.state == State.OPEN, DunningCase.next_due_at <= now)
            .order_by(DunningCase.id)
            .with_for_update(skip_locked=True)
        )
        return list(claimed.all())

    @staticmethod
    def _tell(unit: UnitOfWork, case: DunningCase, now: datetime) -> None:
        grace_until = case.grace_until
        if grace_until is None:
            return
        if case.remind_at is not None and case.remind_at <= now:
            case.reminded_at = now
            if now < grace_until:
                unit.record(GraceEnding(*_about(case), grace_until))
        if case.pause_access_at is not None and case.pause_access_at <= now:
            case.access_paused_at = now
            unit.record(AccessPaused(*_about(case), grace_until))

    async def _set_off(self, unit: UnitOfWork, case: DunningCase, now: datetime) -> None:
        if case.process_id is not None:
            return
        if _is_due(case.next_attempt_at, now) or _is_due(case.look_at, now):
            kind = RETRY
        elif _is_due(case.end_at, now):
            kind = END
        else:
            return
        try:
            case.process_id = await self._processes.start(
                unit,
                kind,
                case.id,
                user_id=case.user_id,
                data={"payment": case.whop_payment_id, "membership": case.whop_membership_id},
                later=True,
            )
        except ProcessRunning:
            # One that has let go of its case but has not ended yet. Its end is near; we come again.
            case.process_id = await self._processes.running(unit, kind, case.id)
            log.warning("dunning.process_running", case_id=case.id, process_id=case.process_id)


def _about(case: DunningCase) -> tuple[str, str, str, str, str, int | None, str]:
    return (
        case.id,
        case.user_id,
        case.subscription_id,
        case.plan_id,
        case.transaction_id,
        case.amount_minor,
        case.currency,
    )


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
