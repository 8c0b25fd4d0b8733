"""One running emulator: the world with everything that moves it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from quntedge.gateway.emulator import snapshots
from quntedge.gateway.emulator.agenda import Agenda
from quntedge.gateway.emulator.announcer import Announcer
from quntedge.gateway.emulator.catalog_shapes import SellerShapes
from quntedge.gateway.emulator.clock import Followers, MovableClock
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.deliveries import Dispatcher, Faults
from quntedge.gateway.emulator.records import Message
from quntedge.gateway.emulator.shapes import BuyerShapes
from quntedge.gateway.emulator.store import Store, Tables
from quntedge.gateway.emulator.timeline import Timeline
from quntedge.gateway.emulator.world import World
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


class Runtime:
    """Built once per application; `running` is its lifetime."""

    def __init__(self, config: EmulatorConfig, real_clock: Clock | None = None) -> None:
        """Raises `snapshots.SnapshotUnreadable` when the configured snapshot cannot be used."""
        loaded = None if config.snapshot_path is None else snapshots.load(config.snapshot_path, config.account_id)
        clock = MovableClock(real_clock or SystemClock(), config.start)
        if loaded is not None:
            clock.offset = timedelta(seconds=loaded.clock_offset_seconds)
            clock.version = loaded.clock_version
        store = Store(config.seed, None if loaded is None else loaded.tables)
        outbox = _LateOutbox()
        announcer = Announcer(config, store, outbox)
        self.world = World(
            config, clock, store, Agenda(), announcer, BuyerShapes(config, store), SellerShapes(config, store)
        )
        self.followers = Followers(clock)
        self.dispatcher = outbox.dispatcher = Dispatcher(self.world, Faults())
        self.timeline = Timeline(self.world, self.dispatcher, self.followers)
        self._snapshotter = (
            None if config.snapshot_path is None else snapshots.Snapshotter(self.world, config.snapshot_path)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers, lets time pass and keeps snapshots until left."""
        for message in self.world.store.tables.messages.values():
            message.next_attempt_at = message.next_attempt_at or message.created_at  # cut off on its way: sent again
        self.world.rebuild_agenda()
        await self.dispatcher.start()
        tasks = [asyncio.create_task(_kept_alive("timeline", self.timeline.run))]
        if self._snapshotter is not None:
            tasks.append(asyncio.create_task(_kept_alive("snapshots", self._snapshotter.run)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.dispatcher.stop()
            if self._snapshotter is not None:
                self._snapshotter.write()

    def reset(self) -> None:
        """Forgets everything but webhook endpoints and the clock. Ids go on, so that none is ever used twice."""
        old = self.world.store.tables
        self.world.store.load(Tables(ids_made=old.ids_made, endpoints=old.endpoints))
        self.world.store.changes += 1
        self.world.rebuild_agenda()
        self.dispatcher.faults = Faults()
