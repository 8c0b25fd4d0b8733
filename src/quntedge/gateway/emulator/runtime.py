"""One running emulator: the world with everything that moves it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from quntedge.gateway.emulator.callers.limits import RateLimiter
from quntedge.gateway.emulator.clockwork.followers import Followers
from quntedge.gateway.emulator.clockwork.runs import Runs
from quntedge.gateway.emulator.clockwork.timeline import Timeline
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.core.agenda import Agenda
from quntedge.gateway.emulator.core.announcer import Announcer
from quntedge.gateway.emulator.core.clock import MovableClock
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.delivery.dispatcher import Dispatcher
from quntedge.gateway.emulator.faults.rules import Faults
from quntedge.gateway.emulator.keeping.branches import Shelf
from quntedge.gateway.emulator.keeping.earlier_state import EarlierState, read_earlier
from quntedge.gateway.emulator.keeping.keeper import Keeper
from quntedge.gateway.emulator.keeping.sqlite_state import Held, StateFile
from quntedge.gateway.emulator.shapes.buyers import BuyerShapes
from quntedge.gateway.emulator.shapes.sellers import SellerShapes
from quntedge.gateway.emulator.state.records import Message
from quntedge.gateway.emulator.state.store import Store, Tables
from quntedge.kit.clock import Clock, SystemClock
from quntedge.kit.logging import get_logger

_log = get_logger(__name__)


class _LateOutbox:
    """Ties the announcer to the dispatcher, which needs the world that needs the announcer."""

    dispatcher: Dispatcher

    def put(self, message: Message) -> None:
        self.dispatcher.put(message)


async def _kept_alive(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs endless work; should it fail, says so and takes it up again, so that time never just stands still."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - logged with its traceback; the emulator must go on
            _log.exception("emulator.background_work_failed", work=name)
            await asyncio.sleep(1)


def _with(held: Held, earlier: EarlierState) -> Held:
    return replace(
        held,
        tables=earlier.tables,
        clock_offset_seconds=earlier.clock_offset_seconds,
        clock_version=earlier.clock_version,
    )


class Runtime:
    """Built once per application; `running` is its lifetime."""

    def __init__(self, config: EmulatorConfig, real_clock: Clock | None = None) -> None:
        """Raises `sqlite_state.StateUnreadable` when the configured state file cannot be used."""
        file = None if config.state_path is None else StateFile(config.state_path, config.account_id)
        held = None if file is None else file.load()
        earlier = None
        if held is not None and not held.clock_version and config.state_path is not None:
            earlier = read_earlier(config.state_path, config.account_id)
            held = held if earlier is None else _with(held, earlier)
        clock = MovableClock(real_clock or SystemClock(), config.start)
        if held is not None and held.clock_version:
            clock.offset = timedelta(seconds=held.clock_offset_seconds)
            clock.version = held.clock_version
        store = Store(config.seed, None if held is None else held.tables)
        store.changes += earlier is not None  # to be written, all of it
        outbox = _LateOutbox()
        announcer = Announcer(config, store, outbox)
        self.world = World(
            config, clock, store, Agenda(), announcer, BuyerShapes(config, store), SellerShapes(config, store)
        )
        self.followers = Followers(clock, config.follower_wait_seconds)
        self.dispatcher = outbox.dispatcher = Dispatcher(self.world, Faults(config.seed))
        self.limiter = RateLimiter(config.rate_limit_per_minute)
        self.timeline = Timeline(self.world, self.dispatcher, self.followers)
        self.runs = Runs()
        self.shelf = Shelf() if held is None else held.shelf
        self._keeper = None if file is None or held is None else Keeper(self.world, self.shelf, file, held)

    @property
    def kept(self) -> bool | None:
        """Whether the state file holds every change; None without a file."""
        return None if self._keeper is None else self._keeper.up_to_date

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers, lets time pass and keeps the state until left."""
        self._take_up()
        await self.dispatcher.start()
        tasks = [asyncio.create_task(_kept_alive("timeline", self.timeline.run))]
        if self._keeper is not None:
            tasks.append(asyncio.create_task(_kept_alive("state", self._keeper.run)))
        try:
            yield
        finally:
            await self.runs.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.dispatcher.stop()
            if self._keeper is not None:
                await self._keeper.close()

    def _take_up(self) -> None:
        """Enters on the agenda what the loaded records mean to do."""
        for message in self.world.store.tables.messages.values():
            message.next_attempt_at = message.next_attempt_at or message.created_at  # cut off on its way: sent again
        self.world.rebuild_agenda()

    async def load(self, tables: Tables, at: datetime) -> None:
        """Goes on from another state, at its own time. What was on its way in the present one is forgotten.

        To be called with `timeline.walking` held.

        Ids go on as well: what is made from here must not get an id that somebody knows for something else.
        """
        await self.dispatcher.stop()
        self.dispatcher.drop_queue()
        tables.ids_made = max(tables.ids_made, self.world.store.tables.ids_made)
        self.world.store.load(tables)
        self.world.clock.restore_to(at)
        self.dispatcher.faults.disarm()
        self._take_up()
        await self.dispatcher.start()
        await self.followers.moved(self.world.config.follower_wait_seconds)

    def reset(self) -> None:
        """Forgets all but webhook endpoints, keys, applications and the clock. Ids go on: none is ever used twice."""
        old = self.world.store.tables
        kept = Tables(ids_made=old.ids_made, endpoints=old.endpoints)
        kept.api_keys, kept.applications = old.api_keys, old.applications
        self.world.store.load(kept)
        self.world.store.changes += 1
        self.world.rebuild_agenda()
        self.dispatcher.faults.disarm()
