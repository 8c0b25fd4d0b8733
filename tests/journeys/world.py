"""The whole product over real HTTP in one event loop: emulator, web, worker, mail server, one clock."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mail_policy
from typing import Any

import httpx
import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import text

from quntedge.catalog.toml import packaged
from quntedge.duties import build_worker
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.jobs.mailbox import open_mailbox
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.wiring import Runtime, build
from tests.conftest import WEBHOOK_SECRET

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"


@dataclass
class Postbox:
    """A real SMTP server that keeps what it gets."""

    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=mail_policy)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 kept"

    @property
    def subjects(self) -> list[str]:
        """Subjects in the order of arrival."""
        return [str(mail["subject"]) for mail in self.mails]


@dataclass
class Product:
    """The running product as its users meet it, and a way to look underneath."""

    url: str
    runtime: Runtime
    emulator: RunningEmulator
    post: Postbox

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client with cookies of its own, who sends the API's JSON from our own origin."""
        async with httpx.AsyncClient(base_url=self.url, headers={"origin": self.url}, trust_env=False) as client:
            yield client

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    async def settled(self) -> None:
        """Waits until nothing is on its way: no delivery, no event, no job, no mail that is due."""
        await self.emulator.settle()
        async with asyncio.timeout(60):
            while any((await self.rows(_BUSY, now=self.runtime.clock.now()))[0].values()):
                await asyncio.sleep(0.02)

    async def advance(self, **step: float) -> None:
        """Moves the one clock and waits for all that follows."""
        await self.emulator.advance(**step)
        await self.settled()


_BUSY = """
    SELECT (SELECT count(*) FROM webhook_event WHERE state IN ('received', 'processing', 'retrying')) AS events,
           (SELECT count(*) FROM notification
            WHERE state = 'sending' OR state = 'queued' AND due_at <= :now) AS mails,
           (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS jobs
"""


@asynccontextmanager
async def running_product(settings: Settings, database_url: str, **changes: object) -> AsyncIterator[Product]:
    """Starts everything, with the packaged catalogue at the emulator, and stops it again.

    With `demo` set, mails go to the demo's mailbox and can be read on its page.
    """
    async with AsyncExitStack() as stack:
        config = EmulatorConfig(api_key="test-key", account_id="biz_test", start=START)
        emulator = await stack.enter_async_context(running_emulator(config))
        post = Postbox()
        if settings.demo:
            mail_port = await stack.enter_async_context(open_mailbox("127.0.0.1", 0, settings.data_dir / "mailbox"))
        else:
            mail_port = _start_mail(stack, post)
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = settings.model_copy(
            update={
                "base_url": url,
                "whop_base_url": emulator.api_base_url,
                "clock_url": emulator.control_url,
                "smtp_url": type(settings.secret_key)(f"smtp://127.0.0.1:{mail_port}"),
            }
            | changes
        )
        runtime = build(settings, database_url)
        await runtime.start()
        stack.push_async_callback(runtime.close)
        await runtime.catalog.apply(packaged())
        await runtime.catalog.sync_gateway()
        await _start_worker(stack, runtime, emulator)
        await _start_web(stack, runtime, listener)
        await emulator.register_webhook(f"{url}/api/whop/webhook", WEBHOOK_SECRET)
        yield Product(url, runtime, emulator, post)


def _start_mail(stack: AsyncExitStack, post: Postbox) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    stack.callback(controller.stop)
    return port


async def _start_worker(stack: AsyncExitStack, runtime: Runtime, emulator: RunningEmulator) -> None:
    worker, notices = build_worker(runtime)
    await notices.start()
    stack.push_async_callback(notices.stop)
    working = asyncio.create_task(worker.run())
    # Before the emulator knows of the worker it would not wait for it when time is moved.
    async with asyncio.timeout(60):
        while not emulator.runtime.followers.working():
            await asyncio.sleep(0.01)

    async def stop() -> None:
        worker.stop()
        await working

    stack.push_async_callback(stop)


async def _start_web(stack: AsyncExitStack, runtime: Runtime, listener: socket.socket) -> None:
    server = uvicorn.Server(
        uvicorn.Config(create_app(runtime), log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)

    async def stop() -> None:
        server.should_exit = True
        await serving

    stack.push_async_callback(stop)
