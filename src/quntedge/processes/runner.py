"""Starts processes, takes them from step to step, and finds those that were left lying."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.errors import GatewayError, GatewayNotFound, GatewayRejected
from quntedge.kit.errors import Conflict
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.processes.models import Process, ProcessStep
from quntedge.processes.steps import (
    STUCK_AFTER,
    Answer,
    Definition,
    Finish,
    GiveUp,
    GoTo,
    Next,
    Run,
    State,
    Step,
    WaitFor,
    retry_at,
)
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

RUN = "processes.run"
"""Name of the job that goes on with a process."""

HANDOVER = timedelta(seconds=30)
"""How long a process is left to whoever started it before the sweep takes it up."""

_BATCH = 50
_REFUSALS = (GatewayRejected, GatewayNotFound)

log = get_logger(__name__)


class ProcessRunning(Conflict):
    """The same is under way for this subject already."""

    code = "process_running"
    title = "This is under way already"


@dataclass(frozen=True, slots=True)
class View:
    """A process as it stands. `reason` says why one failed."""

    id: str
    kind: str
    subject_id: str
    state: State
    step: str
    data: Mapping[str, Any]
    stuck: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Begun:
    run: Run
    step: Step
    tries: int


class ProcessRunner:
    """Runs processes of all kinds. Opens and commits its own units of work, apart from `start` and `nudge`."""

    def __init__(self, units: UnitOfWorkFactory, engine: AsyncEngine, jobs: JobQueue, *, at_once: int = 4) -> None:
        """`at_once` processes run side by side in here; the engine needs at least one connection more."""
        self._places = asyncio.Semaphore(at_once)
        self._units = units
        self._engine = engine
        self._jobs = jobs
        self._definitions: dict[str, Definition] = {}

    def add(self, definition: Definition) -> None:
        """Makes a kind known. Raises ValueError when it is known already."""
        if definition.kind in self._definitions:
            raise ValueError(f"there is a process {definition.kind} already")
        self._definitions[definition.kind] = definition

    async def start(
        self,
        unit: UnitOfWork,
        kind: str,
        subject_id: str,
        *,
        user_id: str | None = None,
        data: Mapping[str, Any] | None = None,
        later: bool = False,
    ) -> str:
        """Writes a new process into the unit's transaction; its id.

        Whoever starts it goes on with `run` after the commit; with `later` a worker does. Raises `ProcessRunning` when
        one of this kind is running for the subject.
        """
        definition = self._definitions[kind]
        now = unit.clock.now()
        # Waits for another transaction that is just starting one, and finds it once that has committed.
        process_id: str | None = await unit.session.scalar(
            insert(Process)
            .values(
                id=new_id("prc", now),
                kind=kind,
                subject_id=subject_id,
                user_id=user_id,
                state=State.RUNNING,
                step=definition.first,
                data=dict(data or {}),
                due_at=now if later else now + HANDOVER,
                created_at=now,
                updated_at=now,
            )
            .on_conflict_do_nothing(index_elements=["kind", "subject_id"], index_where=text("state = 'running'"))
            .returning(Process.id)
        )
        if process_id is None:
            raise ProcessRunning("This is being done already. Wait a moment, then look again.")
        if later:
            await self._jobs.defer(unit, RUN, process_id=process_id)
        return process_id

    async def running(self, unit: UnitOfWork, kind: str, subject_id: str) -> str | None:
        """The id of the process of this kind that runs for a subject."""
        found: str | None = await unit.session.scalar(
            select(Process.id).where(
                Process.kind == kind, Process.subject_id == subject_id, Process.state == State.RUNNING
            )
        )
        return found

    async def nudge(self, unit: UnitOfWork, process_ids: Collection[str]) -> None:
        """Has waiting processes go on as soon as the unit commits. Unknown and ended ones are left out."""
        if not process_ids:
            return
        now = unit.clock.now()
        woken = await unit.session.scalars(
            update(Process)
            .where(Process.id.in_(sorted(process_ids)), Process.state == State.RUNNING)
            .values(due_at=now, waiting=False, updated_at=now)
            .returning(Process.id)
            .execution_options(synchronize_session=False)
        )
        await self._jobs.defer_many(unit, RUN, [{"process_id": process_id} for process_id in sorted(woken.all())])

    async def view(self, process_id: str) -> View | None:
        """A process as it stands; None for an unknown id."""
        async with self._units() as unit:
            process = await unit.session.get(Process, process_id)
            return None if process is None else _view(process)

    async def run(self, process_id: str) -> View | None:
        """Takes a process as far as it goes now; how it stands then. None for an unknown id.

        Somebody else's turn is not waited for. Trouble at the gateway puts the process off; any other exception does
        too, and is raised.
        """
        async with self._exclusively(process_id) as ours:
            while ours:
                begun = await self._begin(process_id)
                if begun is None or not await self._perform(begun):
                    break
        return await self.view(process_id)

    async def resume_due(self) -> int:
        """Goes on with processes that were due and are at nobody's hands; how many there were."""
        tried: set[str] = set()
        while True:
            # Whatever somebody else is busy with stays due, and must not keep us here.
            found = await self._due(tried)
            async with asyncio.TaskGroup() as group:
                for process_id in found:
                    group.create_task(self._resume(process_id))
            tried.update(found)
            if len(found) < _BATCH:
                return len(tried)

    async def _due(self, tried: Collection[str]) -> Sequence[str]:
        async with self._units() as unit:
            due = await unit.session.scalars(
                select(Process.id)
                .where(
                    Process.state == State.RUNNING,
                    Process.due_at <= unit.clock.now(),
                    Process.id.not_in(sorted(tried)),
                )
                .order_by(Process.due_at, Process.id)
                .limit(_BATCH)
            )
            return due.all()

    async def _resume(self, process_id: str) -> None:
        try:
            await self.run(process_id)
        except Exception:
            # Put off and kept; the others must not wait for somebody to mend this one.
            log.exception("process.failed_unexpectedly", process_id=process_id)

    @asynccontextmanager
    async def _exclusively(self, process_id: str) -> AsyncIterator[bool]:
        """Whether the process is ours until we leave.

        The lock belongs to a transaction of its own that does nothing else, so it ends with a crash, a cancellation or
        a lost connection, whichever way we leave. Whoever holds it needs a second connection for the work: there are
        fewer holders than connections, or they would wait for each other.
        """
        number = int.from_bytes(hashlib.sha256(process_id.encode()).digest()[:8], signed=True)
        async with self._places, self._engine.connect() as connection:
            taken = await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
            yield bool(taken)

    async def _begin(self, process_id: str) -> _Begun | None:
        """Writes down what is intended next; None when nothing is to be done now."""
        async with self._units() as unit:
            process = await unit.session.get(Process, process_id, with_for_update=True)
            now = unit.clock.now()
            if process is None or process.state != State.RUNNING or (process.waiting and process.due_at > now):
                return None
            step = self._definitions[process.kind].steps[process.step]
            row = await unit.session.get(ProcessStep, (process.id, process.ordinal))
            if row is None:
                row = ProcessStep(
                    process_id=process.id,
                    ordinal=process.ordinal,
                    name=step.name,
                    state="intended",
                    attempts=0,
                    started_at=now,
                )
                unit.session.add(row)
            row.attempts += 1
            process.tries += 1
            process.waiting, process.due_at = False, now + HANDOVER
            run = await _run_of(unit, process, row.attempts, now)
            tries = process.tries
            await unit.commit()
        return _Begun(run, step, tries)

    async def _perform(self, begun: _Begun) -> bool:
        """Calls and settles one step; whether to go on at once."""
        try:
            answer = await self._answer(begun)
        except _REFUSALS as error:
            return await self._settle(begun, refusal=error)
        except GatewayError as error:
            log.warning("process.put_off", process_id=begun.run.id, step=begun.step.name, reason=str(error))
            await self._put_off(begun, str(error))
            return False
        except Exception as error:
            await self._put_off(begun, f"{type(error).__name__}: {error}")
            raise
        try:
            return await self._settle(begun, answer=answer)
        except Exception as error:
            await self._put_off(begun, f"{type(error).__name__}: {error}")
            raise

    @staticmethod
    async def _answer(begun: _Begun) -> Answer:
        step, run = begun.step, begun.run
        if step.call is None:
            return Answer()
        if run.attempt > 1 and step.look is not None:
            found = await step.look(run)
            if found is not None:
                return found
        return await step.call(run)

    async def _settle(
        self, begun: _Begun, *, answer: Answer | None = None, refusal: GatewayError | None = None
    ) -> bool:
        async with self._units() as unit:
            process = await unit.session.get_one(Process, begun.run.id, with_for_update=True)
            if process.state != State.RUNNING or process.tries != begun.tries:
                return False  # somebody believed us dead and has taken over; they look at what we did
            row = await unit.session.get_one(ProcessStep, (process.id, process.ordinal))
            row.ended_at = unit.clock.now()
            if refusal is not None:
                row.state, row.error = "refused", str(refusal)[:500]
                following = await self._refused(unit, begun, refusal)
            elif answer is not None:
                row.state, row.answer = "done", dict(answer.data)
                following = await begun.step.settle(unit, begun.run, answer)
            else:
                raise ValueError("a step is settled with an answer or a refusal")
            await self._follow(unit, begun, process, following)
            await unit.commit()
        return isinstance(following, GoTo)

    @staticmethod
    async def _refused(unit: UnitOfWork, begun: _Begun, refusal: GatewayError) -> Next:
        if begun.step.refused is None:
            return GiveUp(refusal.code, str(refusal))
        return await begun.step.refused(unit, begun.run, refusal)

    async def _follow(self, unit: UnitOfWork, begun: _Begun, process: Process, following: Next) -> None:
        now = unit.clock.now()
        process.failures, process.stuck, process.error = 0, False, None
        process.updated_at = now
        match following:
            case GoTo() | WaitFor():
                process.step = self._definitions[process.kind].steps[following.step].name
                process.ordinal += 1
                process.data = {**process.data, **following.data}
                process.waiting = isinstance(following, WaitFor)
                process.due_at = following.until if isinstance(following, WaitFor) else now + HANDOVER
            case Finish():
                process.state, process.ended_at = State.DONE, now
                process.data = {**process.data, **following.data}
            case GiveUp():
                process.state, process.ended_at = State.FAILED, now
                process.error = following.reason
                process.data = {**process.data, "detail": following.detail[:500]}
                log.warning("process.given_up", process_id=process.id, kind=process.kind, reason=following.reason)
                await self._definitions[process.kind].given_up(unit, begun.run, following)

    async def _put_off(self, begun: _Begun, reason: str) -> None:
        async with self._units() as unit:
            process = await unit.session.get_one(Process, begun.run.id, with_for_update=True)
            if process.state != State.RUNNING or process.tries != begun.tries:
                return
            now = unit.clock.now()
            process.failures += 1
            process.stuck = process.failures >= STUCK_AFTER
            process.error = reason[:500]
            process.due_at, process.updated_at = retry_at(process.failures, now), now
            await unit.commit()


async def _run_of(unit: UnitOfWork, process: Process, attempt: int, now: datetime) -> Run:
    rows = await unit.session.execute(
        select(ProcessStep.name, ProcessStep.answer)
        .where(ProcessStep.process_id == process.id, ProcessStep.state == "done")
        .order_by(ProcessStep.ordinal)
    )
    return Run(
        id=process.id,
        kind=process.kind,
        subject_id=process.subject_id,
        user_id=process.user_id,
        data=dict(process.data),
        answers={name: answer or {} for name, answer in rows},
        key=f"{process.id}-{process.ordinal}",
        now=now,
        attempt=attempt,
    )


def _view(process: Process) -> View:
    return View(
        id=process.id,
        kind=process.kind,
        subject_id=process.subject_id,
        state=State(process.state),
        step=process.step,
        data=dict(process.data),
        stuck=process.stuck,
        reason=process.error,
    )
