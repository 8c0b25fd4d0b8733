"""Checking the chain: every seal from the first to the last, against the events and against an anchor kept elsewhere.

What the chain shows by itself: a sealed event that was changed, removed, put elsewhere or slipped in. Whoever may write
everything could make the whole chain anew from some point on; that shows against an anchor.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from quntedge.audit import rules
from quntedge.audit.models import AuditEvent, AuditHead, AuditSeal, AuditUnsealed
from quntedge.storage.unit_of_work import UnitOfWorkFactory

PORTION = 2_000

_COLUMNS = tuple(AuditEvent.__table__.c)
_NAMES = tuple(column.name for column in _COLUMNS)
_SEAL = (AuditSeal.number, AuditSeal.event_id.label("named"), AuditSeal.hash, AuditSeal.sealed_at)
_PORTION = (
    select(*_SEAL, *_COLUMNS)
    .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
    .where(AuditSeal.number > bindparam("after"), AuditSeal.number <= bindparam("last"))
    .order_by(AuditSeal.number)
    .limit(PORTION)
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the chain stood at some time: kept elsewhere, it shows when the chain was made anew."""

    number: int
    hash: bytes
    sealed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place at which the chain does not hold. `event_id` is the event that has its place there."""

    number: int
    event_id: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Events without a place in the chain, and those that were to get one and are gone."""

    count: int
    oldest_at: datetime | None
    vanished: int


class Verification:
    """One walk along the chain. Events that are sealed meanwhile are left to the next one."""

    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units
        self.broken: Broken | None = None

    async def newest(self) -> Anchor:
        """Where the chain ends; number 0 while nothing is sealed."""
        async with self._units() as unit:
            connection = await unit.connection()
            sealed_at = select(AuditSeal.sealed_at).where(AuditSeal.number == AuditHead.number).scalar_subquery()
            row = (await connection.execute(select(AuditHead.number, AuditHead.hash, sealed_at.label("at")))).first()
        return Anchor(0, rules.GENESIS) if row is None else Anchor(row.number, row.hash, row.at)

    async def walk(self, until: Anchor, anchor: Anchor | None = None) -> AsyncIterator[int]:
        """Checks every seal up to `until`; yields how many, portion by portion, and stops at the first that is
        `broken`. An `anchor` has to be on the way."""
        at, digest = 0, rules.GENESIS
        anchored = anchor is None or anchor.number == 0
        while at < until.number:
            async with self._units() as unit:
                found = await (await unit.connection()).execute(_PORTION, {"after": at, "last": until.number})
                rows = found.all()
            for row in rows:
                self.broken = _check(row, at + 1, digest)
                if self.broken is None and anchor is not None and row.number == anchor.number:
                    anchored = True
                    self.broken = _compare(row, anchor)
                if self.broken is not None:
                    return
                at, digest = row.number, row.hash
            if not rows:
                self.broken = Broken(at + 1, None, "its seal is gone")
                return
            yield len(rows)
        self.broken = await self._end(until, digest)
        if self.broken is None and not anchored and anchor is not None:
            self.broken = Broken(anchor.number, None, f"the anchor names it, but the log ends with {until.number}")

    async def _end(self, until: Anchor, digest: bytes) -> Broken | None:
        if digest != until.hash:
            return Broken(until.number, None, "the end of the chain is said to be another one")
        async with self._units() as unit:
            further = await _beyond_head(await unit.connection())
        return None if further is None else Broken(further, None, "it comes after the end of the chain")

    async def unsealed(self) -> Unsealed:
        """What has no place in the chain yet."""
        sealed = select(AuditSeal.number).where(AuditSeal.event_id == AuditEvent.id).exists()
        there = select(AuditEvent.id).where(AuditEvent.id == AuditUnsealed.event_id).exists()
        async with self._units() as unit:
            connection = await unit.connection()
            waiting = select(func.count(AuditEvent.id), func.min(AuditEvent.at)).where(~sealed)
            count, oldest = (await connection.execute(waiting)).one()
            vanished = select(func.count(AuditUnsealed.event_id)).where(~there)
            gone = (await connection.execute(vanished)).scalar_one()
        return Unsealed(count, oldest, gone)


async def _beyond_head(connection: AsyncConnection) -> int | None:
    """The first seal beyond the end of the chain, if there is one. One statement, hence one view of both."""
    head = func.coalesce(select(AuditHead.number).scalar_subquery(), 0)
    found: int | None = await connection.scalar(select(func.min(AuditSeal.number)).where(AuditSeal.number > head))
    return found


def _check(row: Row[Any], expected: int, previous: bytes) -> Broken | None:
    if row.number != expected:
        return Broken(expected, None, "its seal is gone")
    if row.id is None:
        return Broken(expected, row.named, "the event is gone")
    event = dict(zip(_NAMES, row[len(_SEAL) :], strict=True))
    if rules.seal(previous, row.number, row.sealed_at, event) != row.hash:
        return Broken(expected, row.named, "what it says, or its place, is not what was sealed")
    return None


def _compare(row: Row[Any], anchor: Anchor) -> Broken | None:
    if row.hash == anchor.hash:
        return None
    return Broken(row.number, row.named, "the anchor has another hash: the chain was made anew from here or earlier")
