"""LISTEN: one dedicated connection per process that wakes whoever waits."""

import asyncio
from collections.abc import Callable, Iterable

import psycopg
from psycopg import sql

from quntedge.kit.logging import get_logger

log = get_logger(__name__)

Callback = Callable[[str], None]


class Listener:
    """Calls back for each notification. Survives lost connections; after one, every callback is called with "" once,
    because what was announced in between is lost."""

    def __init__(self, database_url: str, *, reconnect_seconds: float = 1.0) -> None:
        self._url = database_url
        self._callbacks: dict[str, list[Callback]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._reconnect_seconds = reconnect_seconds

    def subscribe(self, channel: str, callback: Callback) -> None:
        """Must be called before `start`."""
        self._callbacks.setdefault(channel, []).append(callback)

    async def start(self) -> None:
        """Connects and returns once the channels are listened to; without a database within ten seconds, it goes on
        trying and says so in the log."""
        self._task = asyncio.create_task(self._run(), name="listener")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        ready.cancel()

    async def stop(self) -> None:
        """Ends the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._listen(self._callbacks)
            except psycopg.Error as error:
                log.warning("listener.lost", error=type(error).__name__)
            await asyncio.sleep(self._reconnect_seconds)

    async def _listen(self, channels: Iterable[str]) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            for channel in channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._ready.set()
            for channel in channels:
                self._call(channel, "")
            async for notice in connection.notifies():
                self._call(notice.channel, notice.payload)

    def _call(self, channel: str, payload: str) -> None:
        for callback in self._callbacks.get(channel, ()):
            try:
                callback(payload)
            except Exception:
                log.exception("listener.callback_failed", channel=channel)
