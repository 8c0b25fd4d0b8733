"""A mail server that keeps what it gets and answers as told, and senders on the test's database."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from quntedge.notifications.render import MailRenderer, Sender
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.smtp import MailServer
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.notifications.world import add_plan, add_user


class Post:
    """What the mail server received, and what it is to answer instead of accepting (first come, first served)."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.connections = 0
        self.rcpt_answers: list[str] = []
        self.data_answers: list[str] = []
        self.before_data: Callable[[], Awaitable[None]] | None = None
        self.after_data: Callable[[], Awaitable[None]] | None = None
        self.port = 0

    async def handle_EHLO(  # noqa: N802 (the name that aiosmtpd calls)
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return lines

    async def handle_RCPT(  # noqa: N802 (the name that aiosmtpd calls)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt_answers and (answer := self.rcpt_answers.pop(0)) != "ok":
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.before_data is not None:
            await self.before_data()
        if self.data_answers and (answer := self.data_answers.pop(0)) != "ok":
            return answer
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        if self.after_data is not None:
            await self.after_data()
        return "250 OK"

    @property
    def message_ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.received]


def body(message: EmailMessage, subtype: str) -> str:
    """The text of the "plain" or "html" part."""
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content())


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    handler = Post()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    handler.port = server.sockets[0].getsockname()[1]
    yield handler
    server.close()
    await server.wait_closed()


@pytest.fixture
def renderer() -> MailRenderer:
    return MailRenderer(
        Sender.parse("QuntEdge <billing@quntedge.example>"),
        product_name="QuntEdge",
        support_email="support@quntedge.example",
        base_url="https://pay.quntedge.example",
    )


@pytest.fixture
def make_sender(units: UnitOfWorkFactory, vault: Vault, renderer: MailRenderer, post: Post) -> Callable[[], MailSender]:
    """Makes senders as separate processes would have them."""
    return lambda: MailSender(units, vault, renderer, MailServer.parse(f"smtp://127.0.0.1:{post.port}"))


@pytest.fixture
def sender(make_sender: Callable[[], MailSender]) -> MailSender:
    return make_sender()


@pytest.fixture
def service(database_url: str) -> NotificationService:
    return NotificationService(JobQueue(create_job_app(database_url)))


@pytest.fixture
async def plan_id(units: UnitOfWorkFactory) -> str:
    return await add_plan(units)


@pytest.fixture
async def user_id(units: UnitOfWorkFactory, vault: Vault) -> str:
    return await add_user(units, vault)
