"""The job queue: procrastinate on the same database, so that a job is enqueued by the transaction that causes it.

No queueing locks are used. Such a lock makes enqueuing fail with a unique violation, which would abort the caller's
transaction, and makes one caller wait for the other's commit. Jobs here are idempotent instead: doing one twice is
cheap and harmless.
"""

from collections.abc import Sequence
from datetime import timedelta

import procrastinate
import psycopg_pool
from procrastinate.types import JSONValue

from quntedge.kit.logging import get_logger
from quntedge.storage.engine import libpq_url
from quntedge.storage.unit_of_work import UnitOfWork

# A worker writes its heartbeat every ten seconds; after six missing ones its jobs are taken from it.
STALLED_AFTER_SECONDS = 60

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
