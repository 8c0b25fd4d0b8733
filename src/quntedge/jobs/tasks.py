"""The jobs a worker knows by name. Each may be done twice without harm."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import procrastinate
from procrastinate.types import JSONValue

from quntedge.gateway.errors import GatewayError
from quntedge.notifications.service import SEND_DUE
from quntedge.plan_changes.changes import WAKE as WAKE_PLAN_CHANGE
from quntedge.processes.runner import RUN as RUN_PROCESS
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.trials.signals import INSPECT as INSPECT_BUYER

RETIRE_CHECKOUT = "checkout.retire"
"""Name of the job that makes a used checkout link unusable."""

SYNC_METHODS = "methods.sync"
"""Name of the job that looks at what somebody has saved at the gateway."""

# Waits of 4, 16, 64 … seconds, then an hour or so: a gateway that is down for a lunch break is not a failure.
_GATEWAY_RETRY = procrastinate.RetryStrategy(max_attempts=6, exponential_wait=4, retry_exceptions={GatewayError})


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the jobs call."""

    send_due: Callable[[], Awaitable[int]]
    retire_checkout: Callable[[str], Awaitable[None]]
    run_process: Callable[[str], Awaitable[object]]
    inspect_buyer: Callable[[str], Awaitable[object]]
    wake_plan_change: Callable[[str], Awaitable[object]]
    sync_methods: Callable[[str, str], Awaitable[object]]


def register(app: procrastinate.App, handlers: Handlers) -> None:
    """Teaches a worker's app the tasks. An app that only enqueues needs none of them."""

    @app.task(name=SEND_DUE)
    async def send_due() -> None:
        await handlers.send_due()

    @app.task(name=RETIRE_CHECKOUT, retry=_GATEWAY_RETRY)
    async def retire_checkout(checkout_id: str) -> None:
        await handlers.retire_checkout(checkout_id)

    @app.task(name=INSPECT_BUYER, retry=_GATEWAY_RETRY)
    async def inspect_buyer(membership_id: str) -> None:
        await handlers.inspect_buyer(membership_id)

    @app.task(name=SYNC_METHODS, retry=_GATEWAY_RETRY)
    async def sync_methods(user_id: str, member_id: str) -> None:
        await handlers.sync_methods(user_id, member_id)

    @app.task(name=WAKE_PLAN_CHANGE)
    async def wake_plan_change(change_id: str) -> None:
        await handlers.wake_plan_change(change_id)

    @app.task(name=RUN_PROCESS)
    async def run_process(process_id: str) -> None:
        await handlers.run_process(process_id)


def retire_later(jobs: JobQueue) -> Callable[[UnitOfWork, list[str]], Awaitable[None]]:
    """The hook by which the checkout feature has links retired, one job each, in the unit's transaction."""

    async def defer(unit: UnitOfWork, checkout_ids: list[str]) -> None:
        await jobs.defer_many(unit, RETIRE_CHECKOUT, [{"checkout_id": checkout_id} for checkout_id in checkout_ids])

    return defer


def inspect_later(jobs: JobQueue) -> Callable[[UnitOfWork, list[str]], Awaitable[None]]:
    """The hook by which the trials feature has beginnings looked at, one job each, in the unit's transaction."""

    async def defer(unit: UnitOfWork, membership_ids: list[str]) -> None:
        await jobs.defer_many(unit, INSPECT_BUYER, [{"membership_id": named} for named in membership_ids])

    return defer


def sync_methods_later(jobs: JobQueue) -> Callable[[UnitOfWork, list[tuple[str, str]]], Awaitable[None]]:
    """The hook by which saved methods are looked at, a job for each member, in the unit's transaction."""

    async def defer(unit: UnitOfWork, members: list[tuple[str, str]]) -> None:
        named: list[dict[str, JSONValue]] = [{"user_id": user, "member_id": member} for user, member in members]
        await jobs.defer_many(unit, SYNC_METHODS, named)

    return defer
