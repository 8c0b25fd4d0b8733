"""Lets time pass: with the real clock by itself, or in jumps when asked."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.gateway.emulator import refunding, renewals
from quntedge.gateway.emulator.agenda import Happening, Kind
from quntedge.gateway.emulator.clock import Followers
from quntedge.gateway.emulator.deliveries import Dispatcher
from quntedge.gateway.emulator.world import World

SAME_INSTANT = timedelta(seconds=60)
"""Happenings this close together share one jump. Each still carries its own time."""

_LONGEST_NAP_SECONDS = 3600.0


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

    async def run(self) -> None:
        """Performs happenings as real time reaches them. Runs until cancelled."""
        agenda = self._world.agenda
        while True:
            agenda.changed.clear()
            async with self._walking:
                self._perform(agenda.take_until(self._world.now()))
            upcoming = agenda.next_at()
            wait = _LONGEST_NAP_SECONDS
            if upcoming is not None:
                wait = min(wait, max(0.0, (upcoming - self._world.now()).total_seconds()))
            try:
                async with asyncio.timeout(wait):
                    await agenda.changed.wait()
            except TimeoutError:
                continue  # the next happening is due

    async def advance(self, target: datetime) -> Advance:
        """Walks to `target` through everything that happens on the way, in order of time.

        At each instant the clock jumps first, then everyone who follows it is waited for, and only then things happen
        and are delivered: a receiver never sees a signature from its own future. Returns after the first delivery
        attempts of all that happened.
        """
        async with self._walking:
            events, before = 0, self._dispatcher.attempts
            agenda = self._world.agenda
            while (upcoming := agenda.next_at()) is not None and upcoming <= target:
                due = agenda.take_until(min(upcoming + SAME_INSTANT, target))
                due = [happening for happening in due if self._world.is_current(happening)]
                if due:
                    await self._jump(due[-1].at)
                    events += self._perform(due)
                    await self._dispatcher.settle()
            await self._jump(target)
            await self._dispatcher.settle()
            agenda.changed.set()  # what comes next is nearer now than the background walk believes
            return Advance(self._world.now(), events, self._dispatcher.attempts - before)

    async def _jump(self, instant: datetime) -> None:
        clock = self._world.clock
        version = clock.version
        clock.jump_to(instant)
        if clock.version != version:
            await self._followers.moved(self._world.config.follower_wait_seconds)
            self._world.store.changes += 1

    def _perform(self, due: list[Happening]) -> int:
        performed = 0
        for happening in due:
            if self._world.is_current(happening):  # an earlier happening of the same batch may have changed it
                self._do(happening)
                performed += 1
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
            case Kind.DELIVERY:
                self._dispatcher.put(tables.messages[object_id])
