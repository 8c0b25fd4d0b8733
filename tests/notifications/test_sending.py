"""Mails over a real mail server: once each, whatever fails in between."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.notifications import outbox
from quntedge.notifications.render import MailRenderer
from quntedge.notifications.sender import BATCH, MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.smtp import MailServer
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.notifications.conftest import Post
from tests.notifications.world import (
    START,
    queue_confirmations,
    rows,
)


async def test_a_queued_mail_is_sent_once(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, plan_id: str, user_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    assert await sender.send_due() == 1
    assert await sender.send_due() == 0
    (row,) = await rows(units, "id, state, sent_at, error")
    assert (row.state, row.sent_at, row.error) == ("sent", START, None)
    assert post.message_ids == [f"<{row.id}@quntedge.example>"]
    assert post.envelopes == [("billing@quntedge.example", ["kim@example.org"])]


async def test_senders_at_the_same_time_share_the_work(
    units: UnitOfWorkFactory,
    service: NotificationService,
    make_sender: Callable[[], MailSender],
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * 65)
    shared = make_sender()
    counts = await asyncio.gather(
        make_sender().send_due(), make_sender().send_due(), shared.send_due(), shared.send_due()
    )
    assert sum(counts) == 65
    assert len(post.message_ids) == len(set(post.message_ids)) == 65
    assert {row.state for row in await rows(units)} == {"sent"}


async def test_a_batch_uses_one_connection(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, plan_id: str, user_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * BATCH)
    await sender.send_due()
    assert (len(post.received), post.connections) == (BATCH, 1)


async def test_a_crash_before_sending_is_made_good_after_the_lease(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    async with units() as unit:  # a process claims the mail and dies
        assert len(await outbox.claim(unit, limit=5, held=())) == 1
        await unit.commit()
    clock.advance(timedelta(minutes=4, seconds=59))
    assert await sender.send_due() == 0
    clock.advance(timedelta(seconds=1))
    assert await sender.send_due() == 1
    assert len(post.received) == 1


async def test_a_crash_after_sending_repeats_the_mail_under_the_same_message_id(
    units: UnitOfWorkFactory,
    service: NotificationService,
    make_sender: Callable[[], MailSender],
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    taken = asyncio.Event()

    async def hang_after_taking() -> None:
        taken.set()
        await asyncio.Event().wait()

    post.after_data = hang_after_taking
    dying = asyncio.create_task(make_sender().send_due())
    await taken.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert [row.state for row in await rows(units)] == ["sending"]

    post.after_data = None
    clock.advance(outbox.LEASE)
    assert await make_sender().send_due() == 1
    (row,) = await rows(units, "id, state, attempts")
    assert (row.state, row.attempts) == ("sent", 2)
    assert post.message_ids == [f"<{row.id}@quntedge.example>"] * 2


async def test_a_clock_that_jumps_does_not_make_a_sender_compete_with_itself(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])

    async def jump() -> None:
        clock.advance(timedelta(days=30))
        assert await sender.send_due() == 0

    post.before_data = jump
    assert await sender.send_due() == 1
    assert len(post.received) == 1


async def test_a_late_failure_does_not_undo_what_another_sender_did(
    units: UnitOfWorkFactory,
    service: NotificationService,
    make_sender: Callable[[], MailSender],
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])

    async def another_sends_meanwhile() -> None:
        post.before_data = None
        clock.advance(outbox.LEASE)
        assert await make_sender().send_due() == 1

    post.before_data = another_sends_meanwhile
    post.data_answers = ["ok", "550 no"]
    assert await make_sender().send_due() == 0
    assert [row.state for row in await rows(units)] == ["sent"]


async def test_try_again_later_is_tried_again_later(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    post.rcpt_answers = ["451 4.7.1 <kim@example.org> greylisted"]
    assert await sender.send_due() == 0
    (row,) = await rows(units)
    assert (row.state, row.attempts, row.due_at) == ("queued", 1, START + timedelta(minutes=1))
    assert "451" in row.error
    assert "kim" not in row.error
    assert await sender.send_due() == 0
    clock.advance(timedelta(minutes=1))
    assert await sender.send_due() == 1


async def test_the_back_off_grows_and_ends(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    post.data_answers = ["450 busy"] * 20
    waits = []
    for _ in range(8):
        await sender.send_due()
        (row,) = await rows(units)
        waits.append((row.due_at - clock.now()) // timedelta(minutes=1))
        clock.set(max(row.due_at, clock.now()))
    assert waits == [1, 5, 15, 60, 180, 360, 720, 0]
    assert (row.state, row.attempts) == ("failed", 8)
    clock.advance(timedelta(days=30))
    await sender.send_due()
    assert len(post.data_answers) == 12


async def test_a_mail_that_kills_every_sender_is_given_up(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    for _ in range(8):
        async with units() as unit:
            assert len(await outbox.claim(unit, limit=5, held=())) == 1
            await unit.commit()
        clock.advance(outbox.LEASE)
    assert await sender.send_due() == 0
    assert [row.state for row in await rows(units)] == ["failed"]


@pytest.mark.parametrize("where", ["rcpt_answers", "data_answers"])
async def test_a_refusal_for_good_harms_only_its_mail(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    clock: FrozenClock,
    plan_id: str,
    user_id: str,
    where: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * 3)
    setattr(post, where, ["ok", "550 5.1.1 no such user kim@example.org", "ok"])
    assert await sender.send_due() == 2
    outcome = await rows(units)
    assert [row.state for row in outcome] == ["sent", "failed", "sent"]
    assert outcome[1].error == "550 5.1.1 no such user [redacted]"
    assert post.connections == 1
    clock.advance(timedelta(days=2))
    assert await sender.send_due() == 0


async def test_a_server_that_is_down_delays_the_whole_batch(
    units: UnitOfWorkFactory,
    service: NotificationService,
    renderer: MailRenderer,
    vault: Vault,
    plan_id: str,
    user_id: str,
    unused_port: int,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * 3)
    sender = MailSender(units, vault, renderer, MailServer.parse(f"smtp://127.0.0.1:{unused_port}"))
    assert await sender.send_due() == 0
    assert {(row.state, row.due_at) for row in await rows(units)} == {("queued", START + timedelta(minutes=1))}


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port


async def test_a_connection_that_breaks_is_opened_again_for_the_next_mail(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, plan_id: str, user_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * 2)
    post.data_answers = ["421 4.3.0 going down"]
    assert await sender.send_due() == 1
    assert [row.state for row in await rows(units)] == ["queued", "sent"]
