"""Lets time pass: with the real clock by itself, or in jumps when asked."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.gateway.emulator.clockwork.followers import Followers
from quntedge.gateway.emulator.clockwork.runs import Run, State
from quntedge.gateway.emulator.core.agenda import Happening, Kind
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.delivery.dispatcher import Dispatcher
from quntedge.gateway.emulator.life import charges, disputes, invoicing, refunding, renewals

SAME_INSTANT = timedelta(seconds=60)
"""Happenings this close together share one jump. Each still carries its own time."""

_LEAST_STEP = timedelta(seconds=1)
"""A follower that always has something due in a moment must not keep the walk from arriving."""

_LONGEST_NAP_SECONDS = 3600.0
_IN_ONE_GO = 200
"""Happenings performed before others of this program get their turn."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a jump brought: the time reached, the happenings performed, the delivery attempts made."""

    now: datetime
    events: int
    deliveries: int


class Timeline:
    """Performs what is due, one walk at a time."""

    def __init__(self, world: World, dispatcher: Dispatcher, followers: Followers) -> None:
        self._world = world
        self._dispatcher = dispatcher
        self._followers = followers
        self._walking = asyncio.Lock()

    @property
    def walking(self) -> asyncio.Lock:
        """Held while happenings are performed: whoever holds it keeps everything that is due waiting."""
        return self._walking

    async def run(self) -> None:
        """Performs happenings as real time reaches them. Runs until cancelled."""
        agenda = self._world.agenda
        while True:
            agenda.changed.clear()
            async with self._walking:
                await self._perform(agenda.take_until(self._world.now()))
            upcoming = agenda.next_at()
            wait = _LONGEST_NAP_SECONDS
            if upcoming is not None:
                wait = min(wait, max(0.0, (upcoming - self._world.now()).total_seconds()))
            try:
                async with asyncio.timeout(wait):
                    await agenda.changed.wait()
            except TimeoutError:
                continue  # the next happening is due

    async def advance(self, target: datetime, run: Run | None = None) -> Advance:
        """Walks to `target` through everything that happens on the way, in order of time.

        At each instant the clock jumps first, then everyone who follows it is waited for, and only then things happen
        and are delivered: a receiver never sees a signature from its own future. Before the next instant those who
        work are waited for once more, until they have done what was due at this one; and where they have something
        due by themselves, that is an instant as well.

        Returns after the first delivery attempts of all that happened. `run` shows how far it has come; once that is
        canceled, the walk ends at the instant it has reached.
        """
        now = self._world.now()
        run = run or Run("", now, target, now)
        try:
            async with self._walking:
                try:
                    reached = await self._walk(target, run)
                finally:
                    if self._followers.traveling:  # broken off
                        await self._followers.arrive()
        except asyncio.CancelledError:
            run.end(State.CANCELED)
            raise
        except Exception:
            run.end(State.FAILED)
            raise
        run.end(State.CANCELED if run.canceled and reached.now < target else State.DONE)
        return reached

    async def _walk(self, target: datetime, run: Run) -> Advance:
        before = self._dispatcher.attempts
        await self._rest(run)  # what is under way belongs to the time before
        while not run.canceled:
            planned = self._planned()
            limit = self._next_instant(target, planned)
            if limit is None:
                break
            due = [happening for happening in self._world.agenda.take_until(limit) if self._world.is_current(happening)]
            if due or limit == planned:
                self._followers.traveling = True
                await self._jump(due[-1].at if due else limit)
                run.happenings += await self._perform(due)
                await self._rest(run)
                run.deliveries = self._dispatcher.attempts - before
                run.reached(self._world.now())
        if not run.canceled:
            self._followers.traveling = False
            await self._jump(target)
            await self._rest(run)
        self._world.agenda.changed.set()  # what comes next is nearer now than the background walk believes
        run.deliveries = self._dispatcher.attempts - before
        run.reached(self._world.now())
        return Advance(self._world.now(), run.happenings, run.deliveries)

    def _next_instant(self, target: datetime, planned: datetime | None) -> datetime | None:
        """Up to when happenings are performed next; None when nothing is to be done until `target`.

        What a follower has `planned` is an instant of its own, unless things happen within the same minute before it.
        """
        upcoming = self._world.agenda.next_at()
        if planned is not None and planned <= target and (upcoming is None or planned < upcoming):
            return planned
        if upcoming is None or upcoming > target:
            return None
        return min(at for at in (upcoming + SAME_INSTANT, target, planned) if at is not None)

    def _planned(self) -> datetime | None:
        """When a follower has something due by itself. What it should have done already is no reason to stop."""
        now, planned = self._world.now(), self._followers.next_due()
        return None if planned is None or planned <= now else max(planned, now + _LEAST_STEP)

    async def _jump(self, instant: datetime) -> None:
        clock = self._world.clock
        version = clock.version
        clock.jump_to(instant)
        if clock.version != version:
            await self._followers.moved(self._world.config.follower_wait_seconds)

    async def _rest(self, run: Run) -> None:
        """Returns when all deliveries have been tried and those who work are done, also with what came of it."""
        while True:
            await self._dispatcher.settle()
            attempts = self._dispatcher.attempts
            quiet = await self._followers.quieten(self._world.config.follower_work_seconds, lambda: run.canceled)
            await self._dispatcher.settle()
            if not quiet and not run.canceled:
                run.hurried += 1
            if not quiet or self._dispatcher.attempts == attempts:
                return

    async def _perform(self, due: list[Happening]) -> int:
        performed = 0
        for number, happening in enumerate(due, 1):
            if self._world.is_current(happening):  # an earlier happening of the same batch may have changed it
                self._do(happening)
                performed += 1
            if number % _IN_ONE_GO == 0:
                await asyncio.sleep(0)
        return performed

    def _do(self, happening: Happening) -> None:
        tables, object_id, at = self._world.store.tables, happening.object_id, happening.at
        match happening.kind:
            case Kind.MEMBERSHIP:
                renewals.due(self._world, tables.memberships[object_id], at)
            case Kind.TRIAL_NOTICE:
                renewals.announce_trial_end(self._world, tables.memberships[object_id], at)
            case Kind.PAYMENT_RETRY:
                renewals.retry(self._world, tables.payments[object_id], at)
            case Kind.REFUND:
                refunding.settle(self._world, tables.refunds[object_id], at)
            case Kind.COLLECTION:
                charges.collect(self._world, tables.payments[object_id], at)
            case Kind.CAPTURE:
                charges.release(self._world, tables.payments[object_id], at)
            case Kind.INVOICE:
                invoicing.due(self._world, tables.invoices[object_id], at)
            case Kind.DISPUTE:
                disputes.close_window(self._world, tables.disputes[object_id], at)
            case Kind.DELIVERY:
                self._dispatcher.put(tables.messages[object_id])
