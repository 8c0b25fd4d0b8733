"""The row of a run: begun, held by one worker at a time, moved on with the work it stands for, ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, select, text
from sqlalchemy.exc import IntegrityError

from quntedge.kit.ids import new_id
from quntedge.reconciliation.errors import InvalidWindow, RunNotFound, RunUnderWay
from quntedge.reconciliation.models import ReconciliationRun
from quntedge.reconciliation.rules import Stage
from quntedge.storage.unit_of_work import UnitOfWork

LEASE: Final = timedelta(minutes=5)
"""How long a run that shows no sign of life is left to whoever works on it. Every page read is a sign of life."""

LONGEST: Final = timedelta(days=3660)
"""The longest range that can be compared in one run."""

# Whoever holds the run goes on with it; anybody else takes it when the holder has been silent for too long.
_CLAIM = text(
    """
    UPDATE reconciliation_run SET holder = :holder, lease_until = :lease, resume_at = NULL
    WHERE id = :id AND state = 'running' AND (resume_at IS NULL OR resume_at <= :now)
      AND (holder IS NULL OR holder = :holder OR lease_until <= :now)
    RETURNING id
    """
)
_DUE = text(
    """
    SELECT id FROM reconciliation_run
    WHERE state = 'running' AND (resume_at IS NULL OR resume_at <= :now) AND (holder IS NULL OR lease_until <= :now)
    """
)
_MOVE = text(
    """
    UPDATE reconciliation_run
    SET stage = :stage, position = :position, lease_until = :lease, feed_read = feed_read AND :feed,
        rows_read = rows_read + :rows, compared = compared + :compared, found = found + :found,
        repaired = repaired + :repaired
    WHERE id = :id AND holder = :holder AND state = 'running'
    """
)
_INTERRUPT = text(
    """
    UPDATE reconciliation_run
    SET holder = NULL, lease_until = NULL, resume_at = :resume_at, error = :error, interruptions = interruptions + 1,
        worked_milliseconds = worked_milliseconds + :worked
    WHERE id = :id AND holder = :holder AND state = 'running'
    """
)
_END = text(
    """
    UPDATE reconciliation_run
    SET state = :state, finished_at = :now, holder = NULL, lease_until = NULL, error = :error,
        worked_milliseconds = worked_milliseconds + :worked
    WHERE id = :id AND holder = :holder AND state = 'running'
    """
)


class TakenOver(Exception):
    """Somebody else works on the run by now: whoever finds out stops, and nothing of this transaction stands."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A run somebody asks for."""

    since: datetime
    until: datetime
    trigger: str
    requested_by: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a transaction of a run has got done: where the run is now, and what is added to its counts."""

    stage: Stage
    position: datetime
    feed: bool = True
    rows: int = 0
    compared: int = 0
    found: int = 0
    repaired: int = 0


async def begin(unit: UnitOfWork, wish: Wish) -> str:
    """Makes a run, which nobody works on yet; its id. Raises `InvalidWindow`, and `RunUnderWay` for a second one."""
    now = unit.clock.now()
    if wish.since >= wish.until or wish.until > now:
        raise InvalidWindow("The range must begin before it ends, and cannot end in the future.")
    if wish.until - wish.since > LONGEST:
        raise InvalidWindow(f"The range can be {LONGEST.days} days long at most.")
    run_id = new_id("rcn", now)
    unit.session.add(
        ReconciliationRun(
            id=run_id,
            trigger=wish.trigger,
            requested_by=wish.requested_by,
            since=wish.since,
            until=wish.until,
            state="running",
            stage=Stage.PAYMENTS,
            position=wish.since,
            started_at=now,
        )
    )
    try:
        await unit.session.flush()
    except IntegrityError as error:
        raise RunUnderWay("Another reconciliation is under way; wait until it is done.") from error
    return run_id


async def claim(unit: UnitOfWork, run_id: str, holder: str) -> bool:
    """Takes a run; False when it is over, to be taken up later, or in somebody else's hands."""
    now = unit.clock.now()
    connection = await unit.connection()
    values = {"id": run_id, "holder": holder, "now": now, "lease": now + LEASE}
    return (await connection.scalar(_CLAIM, values)) is not None


async def due(unit: UnitOfWork) -> str | None:
    """The run that nobody works on although it could go on; None when there is none."""
    connection = await unit.connection()
    found: str | None = await connection.scalar(_DUE, {"now": unit.clock.now()})
    return found


async def move(unit: UnitOfWork, run_id: str, holder: str, step: Step) -> None:
    """Notes what this transaction does. Raises `TakenOver`."""
    values: dict[str, Any] = {
        "id": run_id,
        "holder": holder,
        "lease": unit.clock.now() + LEASE,
        "stage": step.stage.value,
        "position": step.position,
        "feed": step.feed,
        "rows": step.rows,
        "compared": step.compared,
        "found": step.found,
        "repaired": step.repaired,
    }
    if (await (await unit.connection()).execute(_MOVE, values)).rowcount != 1:
        raise TakenOver(run_id)


async def interrupt(
    unit: UnitOfWork, run_id: str, holder: str, *, resume_at: datetime, error: str, worked: int
) -> None:
    """Lets go of a run, to be taken up again then. `worked` in milliseconds."""
    values = {"id": run_id, "holder": holder, "resume_at": resume_at, "error": error, "worked": worked}
    await (await unit.connection()).execute(_INTERRUPT, values)


async def end(unit: UnitOfWork, run_id: str, holder: str, *, state: str, worked: int, error: str | None) -> None:
    """Ends a run as `done` or `failed`. Raises `TakenOver`."""
    values = {
        "id": run_id,
        "holder": holder,
        "state": state,
        "now": unit.clock.now(),
        "worked": worked,
        "error": error,
    }
    if (await (await unit.connection()).execute(_END, values)).rowcount != 1:
        raise TakenOver(run_id)


async def get(unit: UnitOfWork, run_id: str) -> Row[Any]:
    """The run's row. Raises `RunNotFound`."""
    query = select(ReconciliationRun.__table__).where(ReconciliationRun.id == run_id)
    found = (await (await unit.connection()).execute(query)).one_or_none()
    if found is None:
        raise RunNotFound(f"There is no reconciliation run {run_id}.")
    return found


async def last_nightly(unit: UnitOfWork) -> datetime | None:
    """When the last nightly run was begun."""
    return await _newest(unit, select(ReconciliationRun.started_at))


async def nightly_until(unit: UnitOfWork) -> datetime | None:
    """Up to when the nightly runs have compared everything: where the last one ended that came to its end."""
    return await _newest(unit, select(ReconciliationRun.until).where(ReconciliationRun.state == "done"))


async def _newest(unit: UnitOfWork, query: Select[datetime]) -> datetime | None:
    nightly = query.where(ReconciliationRun.trigger == "nightly").order_by(ReconciliationRun.started_at.desc())
    found: datetime | None = await (await unit.connection()).scalar(nightly.limit(1))
    return found
