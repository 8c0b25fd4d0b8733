"""ReconciliationService: reads what the gateway says of money, compares it with our records and the ledger, mends what
can be mended, and says what is left.

A run goes on in small transactions, each of which notes how far it has come: whatever ends the process, another one
goes on there. No transaction is open while the gateway is asked.
"""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Row

from quntedge.audit.writing import audit_done
from quntedge.gateway.errors import GatewayError, GatewayRateLimited, GatewayRejected
from quntedge.gateway.finance import PayoutSnapshot
from quntedge.kit.crypto import random_token
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import MONEY_DIFFERENCES_OPEN
from quntedge.reconciliation import older, queries, runs, statement
from quntedge.reconciliation.comparing import Attempt, Outcome, Slice, attempt_of, compare
from quntedge.reconciliation.errors import RunUnderWay
from quntedge.reconciliation.older import MoneyGateway
from quntedge.reconciliation.repairs import Repairs
from quntedge.reconciliation.rules import NIGHTLY_WINDOW, SETTLING, SLICE, Stage, end_of_piece, next_length
from quntedge.reconciliation.runs import Step, TakenOver, Wish
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

MANUAL: Final = "manual"
"""The trigger of a run that somebody asked for; the schedule's is `nightly`."""

EVERY: Final = timedelta(hours=24)
AFTER_TROUBLE: Final = timedelta(minutes=5)
MOST_INTERRUPTIONS: Final = 100
"""A run that was interrupted this often fails: the nightly one begins anew the next day."""

_ORDER: Final = (Stage.PAYMENTS, Stage.REFUNDS, Stage.MOVEMENTS, Stage.PAYOUTS, Stage.OLDER, Stage.COMPARE)

T = TypeVar("T")
Progress = Callable[[Stage, float, int], None]
"""Told after each step: the stage, how much of the run is done (0 to 1), and rows read so far."""

log = get_logger(__name__)


def _nobody(stage: Stage, share: float, rows: int) -> None:
    """Nobody watches."""


class ReconciliationService:
    """Begins runs and works on them. Any number of processes may; each run has one at a time."""

    def __init__(self, units: UnitOfWorkFactory, gateway: MoneyGateway, repairs: Repairs) -> None:
        self._units = units
        self._gateway = gateway
        self.repairs = repairs
        self._holder = f"{os.getpid()}-{random_token(9)}"

    async def begin(self, since: datetime, until: datetime | None, *, trigger: str, requested_by: str) -> str:
        """Makes a run of what was created from `since` until `until` (None: a few minutes ago); its id.

        Raises `InvalidWindow`, and `RunUnderWay` while another one is not done.
        """
        async with self._units() as unit:
            run_id = await self.wish(unit, since, until, trigger=trigger, requested_by=requested_by)
            await unit.commit()
        return run_id

    @staticmethod
    async def wish(
        unit: UnitOfWork, since: datetime, until: datetime | None, *, trigger: str, requested_by: str
    ) -> str:
        """As `begin`, in the caller's unit of work: a worker's sweep takes it up."""
        end = until or unit.clock.now() - SETTLING
        run_id = await runs.begin(unit, Wish(since, end, trigger, requested_by))
        if trigger == MANUAL:
            audit_done(unit, "reconciliation.run", "reconciliation_run", run_id)
        return run_id

    async def work_due(self) -> int:
        """For a sweep: goes on with a run that somebody left or asked for, or begins the nightly one; 1 if it did.

        The first one is begun a day after the first payment. Each goes back to where the one before ended, however
        long ago that was.
        """
        async with self._units() as unit:
            now = unit.clock.now()
            run_id = await runs.due(unit)
            first = await queries.first_payment_at(unit)
            last = await runs.last_nightly(unit) or first
            reached = await runs.nightly_until(unit) or first
            under_way = await queries.running(unit)
        if run_id is None and under_way is None and last is not None and last <= now - EVERY:
            since = max(min(now - NIGHTLY_WINDOW, reached or now), now - runs.LONGEST)
            try:
                run_id = await self.begin(since, None, trigger="nightly", requested_by="schedule")
            except RunUnderWay:
                # Another process was faster.
                return 0
        if run_id is None:
            return 0
        await self.work(run_id)
        return 1

    async def work(self, run_id: str, progress: Progress = _nobody) -> Row[Any]:
        """Goes on with a run until it is done or has to wait; its row then.

        It waits (`resume_at`) while the gateway has no time for us or is away, and is left alone when somebody else
        works on it. What was not foreseen ends the attempt the same way, and is raised.
        """
        async with self._units() as unit:
            mine = await runs.claim(unit, run_id, self._holder)
            await unit.commit()
        if mine:
            await self._attempt(run_id, progress)
        async with self._units() as unit:
            return await runs.get(unit, run_id)

    async def _attempt(self, run_id: str, progress: Progress) -> None:
        begun = time.monotonic()
        try:
            await self._go_on(run_id, progress)
        except TakenOver:
            log.warning("reconciliation.taken_over", run_id=run_id)
        except GatewayRateLimited as error:
            await self._interrupt(run_id, begun, timedelta(seconds=max(1.0, error.retry_after_seconds)), error.code)
        except GatewayError as error:
            log.warning("reconciliation.interrupted", run_id=run_id, error=error.code)
            await self._interrupt(run_id, begun, AFTER_TROUBLE, error.code)
        except BaseException as error:
            # Also when the process is being stopped: whoever comes next need not wait for the lease to end.
            await self._interrupt(run_id, begun, AFTER_TROUBLE, type(error).__name__)
            raise
        else:
            await self._end(run_id, begun)

    async def _go_on(self, run_id: str, progress: Progress) -> None:
        async with self._units() as unit:
            run = await runs.get(unit, run_id)
        stage, position, feed, rows = Stage(run.stage), run.position, run.feed_read, run.rows_read
        while stage is not Stage.DONE:
            if stage is Stage.OLDER:
                rows += await self._look_back(run, feed)
                progress(stage, _share(run, stage, run.until), rows)
                position = run.until
            comparing, end, length = stage is Stage.COMPARE, self._end_of(run, stage), SLICE
            while position < end:
                until = end_of_piece(position, end, length, within_month=comparing)
                if comparing:
                    piece = Slice(run.id, run.started_at, position, until, feed)
                    counted = await self._compare(run, piece, Step(stage, position), Step(stage, until))
                else:
                    counted, told = await self._read(run, stage, position, until)
                    rows, feed = rows + counted, feed and told
                position, length = until, next_length(length, counted)
                progress(stage, _share(run, stage, until), rows)
            stage, position = _after(stage), run.since
            await self._note(run.id, Step(stage, position, feed))

    def _end_of(self, run: Row[Any], stage: Stage) -> datetime:
        """Movements are posted after what they are about: fees of the last days are read up to now."""
        end: datetime = run.until
        if stage is not Stage.MOVEMENTS:
            return end
        return max(end, min(self._units.clock.now(), end + NIGHTLY_WINDOW))

    async def _read(self, run: Row[Any], stage: Stage, since: datetime, until: datetime) -> tuple[int, bool]:
        """Reads one slice from the gateway, page by page; how many rows, and whether it let us."""
        pages, keep = self._source(stage, since, until)
        counted = 0
        try:
            async for page in pages:
                async with self._units() as unit:
                    rows = await keep(unit, page)
                    # Until the slice is complete the position stays where it is: whoever goes on reads it from its
                    # beginning, which changes nothing.
                    await runs.move(unit, run.id, self._holder, Step(stage, since, rows=rows))
                    await unit.commit()
                counted += rows
        except GatewayRejected as error:
            if stage not in (Stage.MOVEMENTS, Stage.PAYOUTS):
                raise
            # A key without the permission to read balances: what only they tell is not compared.
            log.warning("reconciliation.not_permitted", run_id=run.id, stage=stage.value, error=error.code)
            await self._note(run.id, Step(stage, until, feed=stage is not Stage.MOVEMENTS))
            return counted, stage is not Stage.MOVEMENTS
        await self._note(run.id, Step(stage, until))
        return counted, True

    def _source(
        self, stage: Stage, since: datetime, until: datetime
    ) -> tuple[AsyncIterator[list[Any]], Callable[[UnitOfWork, list[Any]], Awaitable[int]]]:
        if stage is Stage.PAYMENTS:
            return self._gateway.payments_between(since, until), statement.keep_payments
        if stage is Stage.REFUNDS:
            return self._gateway.refunds_between(since, until), statement.keep_refunds
        if stage is Stage.MOVEMENTS:
            return self._gateway.movements_between(since, until), statement.keep_movements
        return self._gateway.payouts_between(since, until), self._keep_payouts

    async def _keep_payouts(self, unit: UnitOfWork, page: list[PayoutSnapshot]) -> int:
        counted = await statement.keep_payouts(unit, page)
        await self.repairs.post_payouts(unit, [payout.payout_id for payout in page])
        return counted

    async def _look_back(self, run: Row[Any], feed: bool) -> int:
        """Reads and compares what is older than the range; how many rows were read. What was read stays read, so
        whoever goes on reads the rest only."""
        counted, here = 0, Step(Stage.OLDER, run.since)
        async with self._units() as unit:
            await older.choose(unit, run)
            await runs.move(unit, run.id, self._holder, here)
            await unit.commit()
        while batch := await self._waiting(run.id):
            reading = await older.read(self._gateway, batch, feed=feed)
            async with self._units() as unit:
                await older.keep(unit, run.id, batch, reading)
                await self.repairs.post_payouts(unit, [payout.payout_id for payout in reading.payouts])
                await runs.move(unit, run.id, self._holder, Step(Stage.OLDER, run.since, rows=reading.rows))
                await unit.commit()
            counted += reading.rows
        await self._compare(run, Slice(run.id, run.started_at, run.since, run.until, feed, older=True), here, here)
        return counted

    async def _waiting(self, run_id: str) -> Sequence[Row[Any]]:
        async with self._units() as unit:
            return await older.waiting(unit, run_id)

    async def _compare(self, run: Row[Any], piece: Slice, before: Step, after: Step) -> int:
        """Compares one piece; what can be mended is mended, and it is compared again. `before` is where the run stays
        meanwhile, `after` where it is then. Returns how many objects there were."""
        tried: set[Attempt] = set()
        # What is read again may show what else is to be posted, so several rounds may be needed; what did not help
        # is not tried again.
        while (outcome := await self._compare_once(run, piece, tried, before, after)).repairs:
            await self.repairs.mend(outcome.repairs)
            tried.update(attempt_of(repair, sides) for repair, sides in outcome.repairs)
        return outcome.compared

    async def _compare_once(
        self, run: Row[Any], piece: Slice, tried: set[Attempt], before: Step, after: Step
    ) -> Outcome:
        async with self._units() as unit:
            outcome = await compare(unit, piece, tried)
            again = bool(outcome.repairs)
            step = replace(
                before if again else after,
                compared=0 if again else outcome.compared,
                found=outcome.found,
                repaired=outcome.closed,
            )
            await runs.move(unit, run.id, self._holder, step)
            await unit.commit()
        return outcome

    async def _note(self, run_id: str, step: Step) -> None:
        async with self._units() as unit:
            await runs.move(unit, run_id, self._holder, step)
            await unit.commit()

    async def _interrupt(self, run_id: str, begun: float, wait: timedelta, error: str) -> None:
        worked = _milliseconds(begun)
        async with self._units() as unit:
            run = await runs.get(unit, run_id)
            if run.interruptions >= MOST_INTERRUPTIONS and run.holder == self._holder:
                await runs.end(unit, run_id, self._holder, state="failed", worked=worked, error=error)
            else:
                resume_at = unit.clock.now() + wait
                await runs.interrupt(unit, run_id, self._holder, resume_at=resume_at, error=error, worked=worked)
            await unit.commit()

    async def _end(self, run_id: str, begun: float) -> None:
        async with self._units() as unit:
            await runs.end(unit, run_id, self._holder, state="done", worked=_milliseconds(begun), error=None)
            open_count = await queries.count_open(unit)
            run = await runs.get(unit, run_id)
            await unit.commit()
        MONEY_DIFFERENCES_OPEN.set(open_count)
        log.info(
            "reconciliation.done", run_id=run_id, rows=run.rows_read, found=run.found, repaired=run.repaired,
            open=open_count,
        )  # fmt: skip


def _after(stage: Stage) -> Stage:
    following = (*_ORDER[1:], Stage.DONE)
    return following[_ORDER.index(stage)]


def _share(run: Row[Any], stage: Stage, position: datetime) -> float:
    """How much of the run is done. Stages count alike."""
    done: float = min(1.0, (position - run.since) / (run.until - run.since))
    return (_ORDER.index(stage) + done) / len(_ORDER)


def _milliseconds(begun: float) -> int:
    return int((time.monotonic() - begun) * 1000)
