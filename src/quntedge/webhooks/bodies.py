"""Raw bodies of deliveries: sealed under a key per week, kept in a partition per week, gone after 90 days.

Losing a week costs one DROP TABLE and one DELETE of a key, however many deliveries it held; and a backup that still
has the bodies can no longer read them once the key is gone.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quntedge.kit import crypto
from quntedge.kit.crypto import KeyRing
from quntedge.storage.keys import KeyStore
from quntedge.storage.rows import driver_of
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks.models import InboxKey

INBOX_KEYS = KeyStore("weekly keys of webhook bodies", InboxKey.__tablename__, "week")
RETENTION = timedelta(days=90)
WEEKS_AHEAD = 6
_MAINTENANCE_LOCK = 0x51_45_57_42

# The range lets PostgreSQL leave out every other week's partition.
_READ = """
    SELECT event_id, body FROM webhook_body
    WHERE event_id = ANY(%(ids)b) AND received_at BETWEEN %(first)b AND %(last)b
"""


def week_of(moment: datetime) -> date:
    """The Monday (UTC) of the week a moment lies in."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


class BodyStore:
    """Seals and opens bodies and looks after their partitions."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._keys: dict[date, bytes] = {}

    async def key(self, engine: AsyncEngine, moment: datetime) -> bytes:
        """The key for deliveries received at this moment; made when the week has none yet."""
        week = week_of(moment)
        if week not in self._keys:
            async with engine.begin() as connection:
                wrapped = self._ring.wrap(crypto.new_key(), INBOX_KEYS.aad(week.isoformat()))
                await connection.execute(insert(InboxKey).values(week=week, wrapped=wrapped).on_conflict_do_nothing())
                await self._load_keys(connection, {week})
        return self._keys[week]

    @staticmethod
    def seal(key: bytes, event_id: str, raw: bytes) -> bytes:
        """The sealed form of a body; it opens only as the body of this event."""
        return crypto.seal(key, raw, _body_aad(event_id))

    async def read(self, connection: AsyncConnection, events: Iterable[tuple[str, datetime]]) -> dict[str, bytes]:
        """The raw bodies of these events (id, received_at); expired ones are missing from the answer."""
        wanted = dict(events)
        if not wanted:
            return {}
        cursor = await (await driver_of(connection)).execute(
            _READ,
            {"ids": list(wanted), "first": min(wanted.values()), "last": max(wanted.values())},
            # Half the bytes of bodies written as text.
            binary=True,
        )
        rows: list[tuple[str, bytes]] = await cursor.fetchall()
        missing = {week_of(wanted[event_id]) for event_id, _ in rows} - self._keys.keys()
        if missing:
            await self._load_keys(connection, missing)
        opened = {event_id: self._open(event_id, wanted[event_id], sealed) for event_id, sealed in rows}
        return {event_id: raw for event_id, raw in opened.items() if raw is not None}

    def _open(self, event_id: str, received_at: datetime, sealed: bytes) -> bytes | None:
        """None when the key was destroyed: the body has expired, though its row has not been deleted yet."""
        key = self._keys.get(week_of(received_at))
        return None if key is None else crypto.unseal(key, sealed, _body_aad(event_id))

    async def _load_keys(self, connection: AsyncConnection, weeks: set[date]) -> None:
        rows = await connection.execute(select(InboxKey.week, InboxKey.wrapped).where(InboxKey.week.in_(weeks)))
        for row in rows:
            self._keys[row.week] = self._ring.unwrap(row.wrapped, INBOX_KEYS.aad(row.week.isoformat()))

    async def maintain(self, unit: UnitOfWork) -> int:
        """Makes the partitions of the weeks ahead and drops those past retention. Returns how many it changed."""
        connection = await unit.connection()
        await connection.execute(text("SET LOCAL lock_timeout = '3s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAINTENANCE_LOCK})
        now = unit.clock.now()
        existing = await _partitions(connection)
        this_week = week_of(now)
        changed = 0
        for week in (this_week + timedelta(weeks=n) for n in range(WEEKS_AHEAD)):
            if week not in existing and await _create_partition(connection, week):
                changed += 1
        for week in existing:
            if _end(week) <= now - RETENTION:
                await connection.execute(text(f"DROP TABLE {_name(week)}"))
                changed += 1
        cutoff = now - RETENTION
        await connection.execute(
            text("DELETE FROM webhook_body_default WHERE received_at < :cutoff"), {"cutoff": cutoff}
        )
        await connection.execute(delete(InboxKey).where(InboxKey.week <= week_of(cutoff) - timedelta(weeks=1)))
        self._keys = {week: key for week, key in self._keys.items() if _end(week) > cutoff}
        return changed


async def _partitions(connection: AsyncConnection) -> set[date]:
    rows = await connection.execute(
        text(
            "SELECT relid::regclass::text AS name FROM pg_partition_tree('webhook_body')"
            " WHERE isleaf AND relid <> 'webhook_body_default'::regclass"
        )
    )
    return {date.fromisocalendar(int(row.name[-7:-3]), int(row.name[-2:]), 1) for row in rows}


async def _create_partition(connection: AsyncConnection, week: date) -> bool:
    """Makes a week's partition, unless deliveries of that week came first and are in the default partition.

    Those stay there: moving rows between partitions can hide them from a reader whose snapshot is older than the move
    (it looks only into the new partition, where they are not visible to it yet). They are deleted when they expire.
    """
    name, start, end = _name(week), _start(week).isoformat(), _end(week).isoformat()
    statement = f"CREATE TABLE {name} PARTITION OF webhook_body FOR VALUES FROM ('{start}') TO ('{end}')"
    try:
        async with connection.begin_nested():
            await connection.execute(text(statement))
    except IntegrityError:
        return False
    return True


def _name(week: date) -> str:
    year, number, _ = week.isocalendar()
    return f"webhook_body_{year}w{number:02d}"


def _start(week: date) -> datetime:
    return datetime.combine(week, time.min, tzinfo=UTC)


def _end(week: date) -> datetime:
    return _start(week + timedelta(weeks=1))


def _body_aad(event_id: str) -> bytes:
    return f"webhook_body|body|{event_id}".encode()
