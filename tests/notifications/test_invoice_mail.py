"""The invoice of a purchase reaches its buyer by mail exactly once, in whatever order things are told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from email.message import EmailMessage

import pytest

from quntedge.gateway.port import PaymentSnapshot
from quntedge.invoices.events import InvoicePaid
from quntedge.invoices.feature import Invoices
from quntedge.kit.clock import FrozenClock
from quntedge.notifications.enclosures import Enclosures
from quntedge.notifications.render import MailRenderer
from quntedge.notifications.rules import INVOICE_WAITS
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.smtp import MailServer
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.invoices.builders import SELLER
from tests.notifications.conftest import Post
from tests.notifications.world import changed, rows
from tests.payments.builders import snapshot

INVOICE = "INV-2026-000001.pdf"


@pytest.fixture
async def billing(
    units: UnitOfWorkFactory, vault: Vault, bus: EventBus, service: NotificationService
) -> AsyncIterator[Invoices]:
    """Payments make invoices, and invoices make mails."""
    invoices = Invoices(units, vault, SELLER)
    bus.subscribe(PaymentRecorded, invoices.service.on_payments_recorded)
    bus.subscribe(InvoicePaid, service.on_invoice_paid)
    yield invoices
    invoices.close()


@pytest.fixture
def new_sender(
    units: UnitOfWorkFactory, vault: Vault, renderer: MailRenderer, post: Post, billing: Invoices
) -> Callable[[], MailSender]:
    """Makes senders as separate processes would have them."""
    server = MailServer.parse(f"smtp://127.0.0.1:{post.port}")
    return lambda: MailSender(units, vault, renderer, server, Enclosures(billing.documents))


async def _pay(units: UnitOfWorkFactory, user_id: str, reason: str = "subscription_create") -> None:
    async def links(unit: UnitOfWork, observed: Sequence[ObservedPayment]) -> dict[str, PaymentLink]:
        return {item.snapshot.payment_id: PaymentLink(user_id) for item in observed}

    told: PaymentSnapshot = snapshot(membership_id="mem_1", billing_reason=reason)
    async with units() as unit:
        await PaymentService().apply(unit, [ObservedPayment(told, "msg_1", from_gateway=True)], links)
        await unit.commit()


async def _begin(units: UnitOfWorkFactory, service: NotificationService, user_id: str, plan_id: str) -> None:
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id)])
        await unit.commit()


def _received(post: Post) -> list[tuple[str, list[str]]]:
    """What came: kind of mail and names of its files."""
    return [(str(mail["X-Notification-Kind"]), _files(mail)) for mail in post.received]


def _files(mail: EmailMessage) -> list[str]:
    return [str(part.get_filename()) for part in mail.iter_attachments()]


async def test_paid_before_the_confirmation_is_written_it_goes_along(
    units: UnitOfWorkFactory,
    service: NotificationService,
    new_sender: Callable[[], MailSender],
    post: Post,
    clock: FrozenClock,
    user_id: str,
    plan_id: str,
) -> None:
    sender = new_sender()
    await _pay(units, user_id)
    assert await sender.send_due() == 0, "the confirmation is waited for"
    await _begin(units, service, user_id, plan_id)
    await sender.send_due()
    assert _received(post) == [("subscription_confirmed", [INVOICE])]
    clock.advance(INVOICE_WAITS)
    assert await sender.send_due() == 0
    states = {row.kind: (row.state, row.error) for row in await rows(units)}
    assert states["invoice"] == ("skipped", "the invoice went out with another mail")


async def test_paid_after_the_confirmation_was_sent_it_follows_by_itself(
    units: UnitOfWorkFactory,
    service: NotificationService,
    new_sender: Callable[[], MailSender],
    post: Post,
    clock: FrozenClock,
    user_id: str,
    plan_id: str,
) -> None:
    sender = new_sender()
    await _begin(units, service, user_id, plan_id)
    await sender.send_due()
    for _ in range(2):
        await _pay(units, user_id)
        clock.advance(INVOICE_WAITS)
        await sender.send_due()
    assert _received(post) == [("subscription_confirmed", []), ("invoice", [INVOICE])]
    assert str(post.received[1]["Subject"]) == "Your invoice INV-2026-000001"
    # Whatever begins again later does not bring the old invoice along.
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id, cause="msg_9")])
        await unit.commit()
    await sender.send_due()
    assert _received(post)[2] == ("subscription_confirmed", [])


async def test_nobody_confirms_it_and_it_goes_out_all_the_same(
    units: UnitOfWorkFactory, new_sender: Callable[[], MailSender], post: Post, clock: FrozenClock, user_id: str
) -> None:
    await _pay(units, user_id, "one_time")
    clock.advance(INVOICE_WAITS)
    await new_sender().send_due()
    assert _received(post) == [("invoice", [INVOICE])]


@pytest.mark.parametrize("answers", [[], ["451 later", "451 later"]], ids=["accepted", "at the second try"])
async def test_both_are_due_at_once_and_two_processes_send(
    units: UnitOfWorkFactory,
    service: NotificationService,
    new_sender: Callable[[], MailSender],
    post: Post,
    clock: FrozenClock,
    user_id: str,
    plan_id: str,
    answers: list[str],
) -> None:
    post.data_answers += answers
    await _pay(units, user_id)
    clock.advance(INVOICE_WAITS)
    await _begin(units, service, user_id, plan_id)
    senders = [new_sender() for _ in range(2)]
    for _ in range(3):
        await asyncio.gather(*(sender.send_due() for sender in senders))
        clock.advance(timedelta(hours=1))
    files = [name for _, names in _received(post) for name in names]
    assert files == [INVOICE]
    assert [kind for kind, _ in _received(post)].count("subscription_confirmed") == 1


async def test_a_renewal_has_one_mail(
    units: UnitOfWorkFactory, new_sender: Callable[[], MailSender], post: Post, clock: FrozenClock, user_id: str
) -> None:
    await _pay(units, user_id, "subscription_cycle")
    sender = new_sender()
    await sender.send_due()
    clock.advance(timedelta(days=1))
    await sender.send_due()
    assert _received(post) == [("renewal_paid", [INVOICE])]
