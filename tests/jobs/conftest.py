"""What the tests of jobs share: a queue, and waiting for something to come true."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWorkFactory


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 15.0) -> None:
    """Returns once the condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def jobs_in(units: UnitOfWorkFactory) -> list[tuple[str, str, dict[str, object]]]:
    """Task, status and arguments of all jobs."""
    async with units() as unit:
        statement = text("SELECT task_name, status::text, args FROM procrastinate_jobs ORDER BY id")
        return [tuple(row) for row in await (await unit.connection()).execute(statement)]


@pytest.fixture
def queue(database_url: str) -> JobQueue:
    return JobQueue(create_job_app(database_url))
