"""What was denied: a row at once for the first time, and a number for what is repeated within a minute.

The log only grows, so a flood of refusals must not. Repetitions are counted in a table of their own, `audit_denial`;
when the minute is over, one row says how many there were. Counting is exact: across processes, and across crashes.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.audit.models import AuditDenial
from quntedge.audit.rules import FOLD, OWN_ROWS, Actor, ActorKind, Subject
from quntedge.audit.writing import write_denied
from quntedge.storage.unit_of_work import UnitOfWork


async def count(
    unit: UnitOfWork, actor: Actor, act: str, subject: Subject | None, code: str, *, request: str | None
) -> None:
    """Writes down that an act was denied, or counts it where the same was just written down."""
    key = _key(actor, act, subject, code)
    if await _has_had_many(unit, actor):
        key["subject_id"] = ""
        subject = Subject(subject.kind) if subject else None
    if await _is_first(unit, key, actor.holder):
        write_denied(unit, actor, act, subject, code, request=request)


async def close(unit: UnitOfWork, now: datetime) -> int:
    """Writes down what was repeated in minutes that are over. How many of these there were."""
    table = AuditDenial.__table__
    connection = await unit.connection()
    over = await connection.execute(delete(AuditDenial).where(AuditDenial.opened_at <= now - FOLD).returning(*table.c))
    rows = over.all()
    for row in rows:
        _write_repeats(unit, row)
    await unit.session.flush()
    return len(rows)


def _key(actor: Actor, act: str, subject: Subject | None, code: str) -> dict[str, str]:
    return {
        "actor_kind": actor.kind.value,
        "actor_id": actor.id or "",
        "act": act,
        "subject_kind": subject.kind if subject else "",
        "subject_id": (subject.id if subject else None) or "",
        "code": code,
    }


async def _has_had_many(unit: UnitOfWork, actor: Actor) -> bool:
    """Whether somebody goes through things one by one: then no further thing gets a row of its own."""
    own = await unit.session.scalar(
        select(func.count()).where(
            AuditDenial.actor_kind == actor.kind.value,
            AuditDenial.actor_id == (actor.id or ""),
            AuditDenial.subject_id != "",
            AuditDenial.opened_at > unit.clock.now() - FOLD,
        )
    )
    return (own or 0) >= OWN_ROWS


async def _is_first(unit: UnitOfWork, key: dict[str, str], holder: str | None) -> bool:
    """Whether this is the first of its minute; a repetition is counted. The row of the minute is locked."""
    now, connection = unit.clock.now(), await unit.connection()
    fresh = {"holder": holder, "opened_at": now, "last_at": now, "repeats": 0}
    same = [AuditDenial.__table__.c[name] == value for name, value in key.items()]
    while True:
        opened = insert(AuditDenial).values(key | fresh).on_conflict_do_nothing().returning(AuditDenial.act)
        if (await connection.execute(opened)).first() is not None:
            return True
        held = (await connection.execute(select(*AuditDenial.__table__.c).where(*same).with_for_update())).one_or_none()
        if held is None:
            continue  # the sweep has just closed that minute
        if held.opened_at > now - FOLD:
            more = update(AuditDenial).where(*same).values(repeats=AuditDenial.repeats + 1, last_at=now)
            await connection.execute(more)
            return False
        _write_repeats(unit, held)
        await connection.execute(update(AuditDenial).where(*same).values(fresh))
        return True


def _write_repeats(unit: UnitOfWork, held: Row[Any]) -> None:
    if not held.repeats:
        return
    actor = Actor(ActorKind(held.actor_kind), held.actor_id or None, held.holder)
    subject = Subject(held.subject_kind, held.subject_id or None) if held.subject_kind else None
    details = {
        "repeats": held.repeats,
        "since": held.opened_at.isoformat(),
        "until": held.last_at.isoformat(),
    }
    write_denied(unit, actor, held.act, subject, held.code, dict(details))
