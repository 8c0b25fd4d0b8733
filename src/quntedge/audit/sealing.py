"""Sealing: giving events their place in the chain, in order, one process at a time.

Acts write their rows without a place, so that none waits for another; shortly afterwards a sweep takes all that are
there and chains them. Whoever seals holds the one row of `audit_head` and goes on from what it says, even where the
newest seals were removed: the numbers that are missing then stay missing for ever.
"""

from sqlalchemy import delete, exists, insert, select, update

from quntedge.audit import rules
from quntedge.audit.models import AuditEvent, AuditHead, AuditSeal, AuditUnsealed
from quntedge.kit.logging import get_logger
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

PORTION = 1_000
"""Events that are sealed in one transaction."""

log = get_logger(__name__)

_HEAD = select(AuditHead.number, AuditHead.hash).with_for_update()
_WAITING = (
    select(*AuditEvent.__table__.c)
    .join(AuditUnsealed, AuditUnsealed.event_id == AuditEvent.id)
    .order_by(AuditEvent.id)
    .limit(PORTION)
)


class NoHead(RuntimeError):
    """The row that says where the chain ends is gone: somebody has removed it by force."""


async def seal(units: UnitOfWorkFactory) -> int:
    """Seals what waits, portion by portion; how many events that was. Raises `NoHead`."""
    total = 0
    while True:
        async with units() as unit:
            count = await _portion(unit)
            await unit.commit()
        total += count
        if count < PORTION:
            return total


async def _portion(unit: UnitOfWork) -> int:
    connection = await unit.connection()
    if not (await connection.execute(select(exists(select(AuditUnsealed.event_id))))).scalar_one():
        return 0
    head = (await connection.execute(_HEAD)).one_or_none()
    if head is None:
        raise NoHead("audit_head is empty; restore it from a backup and run `quntedge audit verify`")
    number, digest, now = head.number, head.hash, unit.clock.now()
    seals = []
    for event in await connection.execute(_WAITING):
        number += 1
        digest = rules.seal(digest, number, now, dict(event._mapping))
        seals.append({"number": number, "event_id": event.id, "hash": digest, "sealed_at": now})
    if seals:
        await connection.execute(insert(AuditSeal), seals)
        taken = delete(AuditUnsealed).where(among(AuditUnsealed.event_id))
        await connection.execute(taken, {"values": [row["event_id"] for row in seals]})
        await connection.execute(update(AuditHead).values(number=number, hash=digest))
        # Logs are kept elsewhere than the database: each of these lines is an anchor.
        log.info("audit.sealed", number=number, seal=digest.hex())
    return len(seals)
