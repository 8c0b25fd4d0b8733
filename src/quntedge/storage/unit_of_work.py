"""One use case, one transaction, committed at the edge before any answer is sent."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.clock import Clock
from quntedge.storage.events import EventBus
from quntedge.storage.rows import Texts, driver_of, fetch, run

_NOTIFY = text(
    "SELECT pg_notify(channel, payload) FROM unnest(CAST(:c AS text[]), CAST(:p AS text[])) AS n(channel, payload)"
)


class UnitOfWork:
    """A session, the clock, and the facts recorded so far.

    Leaving the block without `commit()` rolls everything back. `commit()` first hands the facts to their subscribers,
    whose own facts follow, until nothing new is recorded; all of it is one transaction.
    """

    def __init__(self, session: AsyncSession, clock: Clock, bus: EventBus) -> None:
        self.session = session
        self.clock = clock
        self._bus = bus
        self._facts: list[object] = []
        self._notifications: dict[tuple[str, str], None] = {}
        self._driver: AsyncConnection[Any] | None = None

    def record(self, *facts: object) -> None:
        """Remembers facts for the subscribers."""
        self._facts.extend(facts)

    def notify(self, channel: str, payload: str = "") -> None:
        """Sends a PostgreSQL notification when, and only when, the transaction commits."""
        self._notifications[(channel, payload)] = None

    async def connection(self) -> SqlConnection:
        """The Core connection of this transaction, for statements with parameter lists."""
        return await self.session.connection()

    async def driver_connection(self) -> AsyncConnection[Any]:
        """The psycopg connection below, for libraries that take part in this transaction (jobs)."""
        if self._driver is None:
            self._driver = await driver_of(await self.session.connection())
        return self._driver

    async def fetch(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Sequence[Any]:
        """The rows of a constant statement, as named tuples, read by the driver.

        SQLAlchemy only writes the statement, once: going through it each time costs more than the statement does. For
        paths that hundreds of events a second take; lists of texts must be `Texts`.
        """
        return await fetch(await self.driver_connection(), statement, parameters or {})

    async def run(self, statement: Executable, parameters: Mapping[str, object]) -> None:
        """The same for a statement that returns no rows."""
        await run(await self.driver_connection(), statement, parameters)

    async def dispatch(self) -> None:
        """Hands out the facts recorded so far and those that the subscribers record in turn."""
        while self._facts:
            facts, self._facts = self._facts, []
            await self.session.flush()
            await self._bus.dispatch(self, facts)

    async def commit(self) -> None:
        """Runs the subscribers, sends the notifications, commits. Nothing may be answered before this returns."""
        await self.dispatch()
        if self._notifications:
            named = {"c": Texts(c for c, _ in self._notifications), "p": Texts(p for _, p in self._notifications)}
            await self.fetch(_NOTIFY, named)
            self._notifications.clear()
        self._driver = None
        await self.session.commit()

    async def rollback(self) -> None:
        """Forgets everything done since the last commit."""
        self._facts.clear()
        self._notifications.clear()
        self._driver = None
        await self.session.rollback()


class UnitOfWorkFactory:
    """Opens units of work. Shared by all entry points of a process."""

    def __init__(self, sessions: Callable[[], AsyncSession], clock: Clock, bus: EventBus) -> None:
        self._sessions = sessions
        self.clock = clock
        self.bus = bus

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[UnitOfWork]:
        """A fresh unit of work; rolled back on leaving unless committed."""
        async with self._sessions() as session:
            yield UnitOfWork(session, self.clock, self.bus)
