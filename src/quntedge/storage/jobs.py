"""The job queue: procrastinate on the same database, so that a job is enqueued by the transaction that causes it.

No queueing locks are used. Such a lock makes enqueuing fail with a unique violation, which would abort the caller's
transaction, and makes one caller wait for the other's commit. Jobs here are idempotent instead: doing one twice is
cheap and harmless.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import procrastinate
import psycopg_pool
from procrastinate.types import JSONValue
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import JOBS_FAILED
from quntedge.storage.engine import libpq_url
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

# A worker writes its heartbeat every ten seconds; after six missing ones its jobs are taken from it.
STALLED_AFTER_SECONDS = 60

FAILED_KEPT = timedelta(days=90)
"""How long a job that failed for good can be looked at."""
ENDED_KEPT = timedelta(days=7)
"""How long others stay that ended. Those that went well are deleted at once, unless a worker is killed just then."""
PURGED_AT_ONCE = 1000

# When a job ended is the time of its last event, by the machine's clock as all times of jobs are.
_PURGE = """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT job.id FROM procrastinate_jobs AS job
        WHERE job.status IN ('failed', 'cancelled', 'aborted', 'succeeded')
          AND coalesce((SELECT max(at) FROM procrastinate_events AS event WHERE event.job_id = job.id), '-infinity')
              < now() - CASE WHEN job.status = 'failed' THEN CAST(:failed AS interval) ELSE CAST(:ended AS interval) END
        ORDER BY job.id LIMIT :portion FOR UPDATE SKIP LOCKED
    )
"""
_FAILED = """
    SELECT task_name, count(*) AS jobs FROM procrastinate_jobs
    WHERE status IN ('failed', 'cancelled', 'aborted', 'succeeded') AND status = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1
"""

log = get_logger(__name__)


def create_job_app(database_url: str, *, max_connections: int = 4) -> procrastinate.App:
    """A procrastinate app on our database. Closed at first: only a worker needs to open its pool.

    Its connections are its own (`max_connections` and one that listens), because a worker waits on them for long.
    """
    connector = procrastinate.PsycopgConnector(
        conninfo=libpq_url(database_url),
        min_size=1,
        max_size=max_connections,
        kwargs={"options": "-c timezone=UTC", "application_name": "quntedge-jobs"},
        pool_factory=psycopg_pool.AsyncConnectionPool,
    )
    return procrastinate.App(connector=connector)


class JobQueue:
    """Enqueues jobs by the name of their task, so that whoever causes a job need not know the code that does it."""

    def __init__(self, app: procrastinate.App) -> None:
        self.app = app

    async def defer(self, unit: UnitOfWork, task: str, **arguments: JSONValue) -> None:
        """Enqueues a job in the unit's transaction: it exists if, and only if, that commits. The app may be closed."""
        await self.defer_many(unit, task, [arguments])

    async def defer_many(self, unit: UnitOfWork, task: str, arguments: Sequence[dict[str, JSONValue]]) -> None:
        """Enqueues one job for each set of arguments, all with one statement. None for no arguments at all."""
        if arguments:
            connection = await unit.driver_connection()
            await self.app.configure_task(task, connection=connection).batch_defer_async(*arguments)

    async def revive_stalled(self) -> int:
        """Makes the jobs of workers that vanished wait again, and returns how many. The app must be open."""
        stalled = await self.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_SECONDS)
        count = 0
        for job in stalled:
            log.warning("job.revived", task=job.task_name, job_id=job.id)
            await self.app.job_manager.retry_job(job)
            count += 1
        return count

    async def bring_forward(self, by: timedelta) -> None:
        """Makes scheduled jobs due earlier by so much. The app must be open.

        Jobs go by the machine's time. Where the clock leaps ahead of that (demo, tests), this lets them leap along.
        """
        await self.app.connector.execute_query_async(
            "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - %(by)s"
            " WHERE status = 'todo' AND scheduled_at > now()",
            by=by,
        )

    async def purge(self, unit: UnitOfWork, _now: datetime) -> int:
        """Deletes a portion of the jobs that ended long ago, and says how many there were. Others are left waiting."""
        connection = await unit.connection()
        kept = {"failed": FAILED_KEPT, "ended": ENDED_KEPT, "portion": PURGED_AT_ONCE}
        return (await connection.execute(text(_PURGE), kept)).rowcount


async def count_failed(connection: AsyncConnection) -> dict[str, int]:
    """How many jobs failed for good and are still kept, by task."""
    return {row.task_name: row.jobs for row in await connection.execute(text(_FAILED))}


async def update_gauges(units: UnitOfWorkFactory) -> None:
    """Counts the jobs that failed for good."""
    async with units() as unit:
        failed = await count_failed(await unit.connection())
    JOBS_FAILED.set(sum(failed.values()))
