"""The whole worker: jobs, chores and inbox side by side, and a stop that loses nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.emulator.testing import running_emulator
from quntedge.gateway.errors import GatewayUnavailable
from quntedge.jobs.mailbox import open_mailbox
from quntedge.jobs.tasks import RETIRE_CHECKOUT
from quntedge.jobs.ticker import Sweep
from quntedge.jobs.worker import Worker, WorkerServices
from quntedge.kit.clock import Clock, FrozenClock
from quntedge.kit.following_clock import FollowingClock
from quntedge.notifications.render import MailRenderer, Sender
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import SEND_DUE, NotificationService
from quntedge.notifications.smtp import MailServer
from quntedge.processes.runner import RUN, ProcessRunner
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.trials.signals import INSPECT
from tests.jobs.conftest import jobs_in, until
from tests.notifications.world import add_plan, add_user, queue_confirmations, rows


class Inbox:
    """Stands where the webhook inbox does: starts, waits for the stop, ends."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.starts = 0
        self.ended = False
        self.begun = 0
        self.busy = False

    async def run(self, stop: asyncio.Event) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise RuntimeError("no")
        await stop.wait()
        self.ended = True


@dataclass
class Setting:
    """What a worker is built from, with the parts that a test wants to change."""

    units: UnitOfWorkFactory
    vault: Vault
    engine: AsyncEngine
    database_url: str
    clock: Clock
    mail_port: int = 1
    inbox: Inbox = field(default_factory=Inbox)
    sweeps: tuple[Sweep, ...] = ()
    retired: list[str] = field(default_factory=list)
    on_retire: Callable[[str], Awaitable[None]] | None = None

    def worker(self) -> Worker:
        renderer = MailRenderer(
            Sender.parse("billing@quntedge.example"),
            product_name="QuntEdge",
            support_email="support@quntedge.example",
            base_url="https://pay.quntedge.example",
        )
        mail = MailSender(self.units, self.vault, renderer, MailServer.parse(f"smtp://127.0.0.1:{self.mail_port}"))
        queue = JobQueue(create_job_app(self.database_url))
        return Worker(
            WorkerServices(
                clock=self.clock,
                units=self.units,
                jobs=queue,
                mail=mail,
                retire_checkout=self._retire,
                inspect_buyer=self._inspect,
                wake_plan_change=self._inspect,
                sync_methods=self._sync,
                processes=ProcessRunner(self.units, self.engine, queue),
                inbox=self.inbox,
                sweeps=self.sweeps,
                restart_seconds=0.05,
            )
        )

    async def _inspect(self, membership_id: str) -> None:
        """Nobody begins anything in these tests."""

    async def _sync(self, user_id: str, member_id: str) -> None:
        """Nobody saves anything in these tests."""

    async def _retire(self, checkout_id: str) -> None:
        if self.on_retire is not None:
            await self.on_retire(checkout_id)
        self.retired.append(checkout_id)

    async def defer_retirement(self, checkout_id: str) -> None:
        async with self.units() as unit:
            queue = JobQueue(create_job_app(self.database_url))
            await queue.defer(unit, RETIRE_CHECKOUT, checkout_id=checkout_id)
            await unit.commit()


@pytest.fixture
def setting(
    units: UnitOfWorkFactory, vault: Vault, engine: AsyncEngine, database_url: str, clock: FrozenClock
) -> Setting:
    return Setting(units, vault, engine, database_url, clock)


@asynccontextmanager
async def working(setting: Setting) -> AsyncIterator[Worker]:
    worker = setting.worker()
    running = asyncio.create_task(worker.run())
    try:
        await until(lambda: setting.inbox.starts > 0 or running.done())
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(60):
            await running


async def test_a_mail_goes_out_soon_after_the_commit_of_its_cause(
    setting: Setting, service: NotificationService, tmp_path: Path
) -> None:
    plan_id = await add_plan(setting.units)
    user_id = await add_user(setting.units, setting.vault)
    async with open_mailbox("127.0.0.1", 0, tmp_path) as setting.mail_port:
        swept = asyncio.Event()
        setting.sweeps = (Sweep("last", timedelta(hours=1), _setting(swept)),)
        async with working(setting):
            # The frozen clock lets the sweep for due mails run once, now; what comes later is the job's doing.
            await swept.wait()
            await queue_confirmations(setting.units, service, plan_id, [user_id])
            await until(lambda: _all_sent(setting.units))
            await until(lambda: _no_jobs(setting.units))
    assert len(list(_files(tmp_path))) == 1


@pytest.fixture
def service(database_url: str) -> NotificationService:
    return NotificationService(JobQueue(create_job_app(database_url)))


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[int]]:
    async def run() -> int:
        event.set()
        return 0

    return run


async def _all_sent(units: UnitOfWorkFactory) -> bool:
    return {row.state for row in await rows(units)} == {"sent"}


async def _no_jobs(units: UnitOfWorkFactory) -> bool:
    return await jobs_in(units) == []


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("*.eml"))


async def test_a_checkout_is_retired_by_its_job(setting: Setting) -> None:
    async with working(setting):
        await setting.defer_retirement("ch_1")
        await until(lambda: setting.retired == ["ch_1"])


async def test_a_gateway_in_trouble_is_asked_again_later_any_other_error_is_kept(setting: Setting) -> None:
    async def trouble(checkout_id: str) -> None:
        raise GatewayUnavailable("down") if checkout_id == "ch_1" else RuntimeError("a mistake")

    setting.on_retire = trouble

    async def tried() -> bool:
        return [status for _, status, _ in await jobs_in(setting.units)] == ["todo", "failed"]

    async with working(setting):
        await setting.defer_retirement("ch_1")
        await setting.defer_retirement("ch_2")
        await until(tried)


async def test_a_part_that_fails_is_started_again_and_the_others_go_on(setting: Setting) -> None:
    setting.inbox = Inbox(failures=2)
    async with working(setting):
        await setting.defer_retirement("ch_1")
        await until(lambda: setting.retired == ["ch_1"])
        await until(lambda: setting.inbox.starts == 3)
    assert setting.inbox.ended


async def test_lost_connections_are_made_anew(setting: Setting) -> None:
    async with working(setting):
        await setting.defer_retirement("ch_1")
        await until(lambda: setting.retired == ["ch_1"])
        async with await psycopg.AsyncConnection.connect(setting.database_url, autocommit=True) as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'quntedge-jobs' AND datname = current_database()"
            )
        await setting.defer_retirement("ch_2")
        await until(lambda: setting.retired == ["ch_1", "ch_2"], seconds=30)


async def test_the_stop_lets_a_job_finish_and_begins_no_other(setting: Setting) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def slow(_checkout_id: str) -> None:
        started.set()
        await finish.wait()

    setting.on_retire = slow
    worker = setting.worker()
    running = asyncio.create_task(worker.run())
    await setting.defer_retirement("ch_1")
    await started.wait()
    worker.stop()
    await until(lambda: setting.inbox.ended)
    await setting.defer_retirement("ch_2")
    assert not running.done()
    finish.set()
    async with asyncio.timeout(60):
        await running
    assert setting.retired == ["ch_1"]
    assert [status for _, status, _ in await jobs_in(setting.units)] == ["todo"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it(setting: Setting, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    running = asyncio.create_task(setting.worker().run_until_signal())
    await until(lambda: setting.inbox.starts == 1)
    signal.raise_signal(number)
    async with asyncio.timeout(60):
        await running
    assert setting.inbox.ended
    assert signal.getsignal(number) in (before, signal.SIG_DFL, signal.default_int_handler)


async def test_a_jump_of_the_emulators_clock_brings_the_sweeps_forward(setting: Setting) -> None:
    runs: list[int] = []

    async def chore() -> int:
        runs.append(1)
        return 0

    setting.sweeps = (Sweep("monthly", timedelta(days=30), chore),)
    async with running_emulator() as emulator:
        setting.clock = FollowingClock(emulator.control_url)
        await setting.clock.start()
        try:
            async with working(setting):
                await until(lambda: len(runs) == 1)
                await emulator.advance(days=31)
                await until(lambda: len(runs) == 2)
        finally:
            await setting.clock.stop()


def test_the_job_names_are_what_the_features_enqueue(setting: Setting) -> None:
    queue = JobQueue(create_job_app(setting.database_url))
    services = WorkerServices(
        clock=setting.clock,
        units=setting.units,
        jobs=queue,
        mail=MailSender(setting.units, setting.vault, None, None),  # type: ignore[arg-type]
        retire_checkout=setting._retire,
        inspect_buyer=setting._inspect,
        wake_plan_change=setting._inspect,
        sync_methods=setting._sync,
        processes=ProcessRunner(setting.units, setting.engine, queue),
        inbox=setting.inbox,
    )
    Worker(services)
    assert {SEND_DUE, RETIRE_CHECKOUT, RUN, INSPECT} <= queue.app.tasks.keys()
