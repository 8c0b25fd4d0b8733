"""What somebody has to look at: raised once for each cause, open until somebody says what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert

from quntedge.audit.writing import audit_done
from quntedge.disputes.errors import AlarmNotFound, AlarmResolved
from quntedge.disputes.models import DisputeAlarm
from quntedge.kit.ids import is_id, new_id
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import DISPUTE_ALARMS
from quntedge.storage.unit_of_work import UnitOfWork

PREFIX = "dal"
LONGEST_NOTE = 500

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to be raised. `key` makes it one of its kind: the same key is raised once, however often it is found.

    Amounts in minor units of `currency`; `detail` holds no personal data.
    """

    kind: str
    key: str
    subject_id: str
    detail: str
    user_id: str | None = None
    transaction_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


async def raise_alarms(unit: UnitOfWork, alarms: Sequence[Alarm]) -> int:
    """Raises those that are new; how many there were."""
    if not alarms:
        return 0
    now = unit.clock.now()
    # In one order for everybody: two that raise the same alarms wait for each other once, not in a circle.
    ordered = sorted({alarm.key: alarm for alarm in alarms}.values(), key=lambda alarm: alarm.key)
    raised = await unit.session.execute(
        insert(DisputeAlarm)
        .values(
            [
                {
                    "id": new_id(PREFIX, now),
                    "cause_key": f"{alarm.kind}:{alarm.key}",
                    "kind": alarm.kind,
                    "subject_id": alarm.subject_id,
                    "user_id": alarm.user_id,
                    "transaction_id": alarm.transaction_id,
                    "amount_minor": alarm.amount_minor,
                    "currency": alarm.currency,
                    "detail": alarm.detail[:500],
                    "raised_at": now,
                }
                for alarm in ordered
            ]
        )
        .on_conflict_do_nothing(index_elements=[DisputeAlarm.cause_key])
        .returning(DisputeAlarm.kind, DisputeAlarm.subject_id, DisputeAlarm.detail)
    )
    new = raised.all()
    for row in new:
        DISPUTE_ALARMS.labels(row.kind).inc()
        log.error("dispute.alarm", kind=row.kind, subject_id=row.subject_id, detail=row.detail)
    return len(new)


async def resolve(unit: UnitOfWork, alarm_id: str, *, by: str, note: str) -> DisputeAlarm:
    """Says what became of an alarm, once. Raises `AlarmNotFound`, `AlarmResolved`."""
    found = await unit.session.get(DisputeAlarm, alarm_id, with_for_update=True) if is_id(alarm_id, PREFIX) else None
    if found is None:
        raise AlarmNotFound(f"There is no alarm with this id; ids of alarms begin with {PREFIX}_.")
    if found.resolved_at is not None:
        raise AlarmResolved("Somebody has resolved this alarm already; their note is kept.")
    found.resolved_at, found.resolved_by, found.note = unit.clock.now(), by, note[:LONGEST_NOTE]
    audit_done(unit, "dispute.resolve_alarm", "dispute_alarm", found.id, kind=found.kind)
    await unit.session.flush()
    return found
