"""Mails over a real mail server: once each, whatever fails in between."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

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
    add_paid_transaction,
    add_plan,
    add_subscription,
    add_user,
    changed,
    failed,
    queue_confirmations,
    rows,
)


@pytest.fixture
async def plan_id(units: UnitOfWorkFactory) -> str:
    return await add_plan(units)


@pytest.fixture
async def user_id(units: UnitOfWorkFactory, vault: Vault) -> str:
    return await add_user(units, vault)


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


async def test_a_customer_without_an_address_is_skipped(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [await add_user(units, vault, email=None)])
    assert await sender.send_due() == 0
    assert [row.state for row in await rows(units)] == ["skipped"]
    assert post.connections == 0


@pytest.mark.parametrize(
    ("subscription", "payment", "why"),
    [
        ("past_due", "open", None),
        ("past_due", "uncollectible", None),
        ("active", "paid", "the payment has been paid"),
        ("active", "partially_refunded", "the payment has been paid"),
        ("active", "refunded", "the payment has been paid"),
        ("canceled", "failed", "the subscription has ended"),
        ("expired", "failed", "the subscription has ended"),
    ],
)
async def test_a_failed_payment_is_told_only_while_it_is_still_true(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    plan_id: str,
    user_id: str,
    subscription: str,
    payment: str,
    why: str | None,
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, status=subscription)
    await add_paid_transaction(units, user_id, "mem_1", 2900, id="txn_1", status=payment)
    async with units() as unit:
        await service.on_payment_recorded(unit, [failed(user_id, plan_id, subscription_id)])
        await unit.commit()
    assert await sender.send_due() == len(post.received) == (1 if why is None else 0)
    (row,) = await rows(units)
    assert (row.state, row.error) == ("sent" if why is None else "skipped", why)
    assert await sender.send_due() == 0


async def test_that_a_payment_once_failed_does_not_keep_other_mails_back(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, plan_id: str, user_id: str
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, status="canceled")
    ended = changed(user_id, plan_id, subscription_id, started=False, ended=True, status="canceled")
    async with units() as unit:
        await service.on_subscription_changed(unit, [ended])
        await unit.commit()
    assert await sender.send_due() == len(post.received) == 1


async def test_an_erased_customer_is_skipped(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, plan_id: str, user_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    async with units() as unit:
        await (await unit.connection()).execute(text("UPDATE data_key SET wrapped = NULL"))
        await unit.commit()
    assert await sender.send_due() == 0
    assert [row.state for row in await rows(units)] == ["skipped"]


async def test_a_mail_that_cannot_be_made_harms_only_itself(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    vault: Vault,
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    broken = await add_user(units, vault, email="eve@example.org")
    await queue_confirmations(units, service, plan_id, [broken, user_id])
    async with units() as unit:
        statement = text("UPDATE app_user SET email = decode('00', 'hex') || email WHERE id = :id")
        await (await unit.connection()).execute(statement, {"id": broken})
        await unit.commit()
    assert await sender.send_due() == 1
    assert [row.state for row in await rows(units)] == ["queued", "sent"]
    assert (await rows(units))[0].error == "the mail could not be made: InvalidSeal"


async def test_a_kind_this_release_does_not_know_waits_for_one_that_does(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, plan_id: str, user_id: str
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id, user_id])
    async with units() as unit:
        statement = text("UPDATE notification SET kind = 'birthday' WHERE cause_key LIKE '%:sub_0:%'")
        await (await unit.connection()).execute(statement)
        await unit.commit()
    assert await sender.send_due() == 1
    assert [row.state for row in await rows(units)] == ["queued", "sent"]


async def test_without_a_mail_server_mails_wait(
    units: UnitOfWorkFactory,
    service: NotificationService,
    vault: Vault,
    renderer: MailRenderer,
    make_sender: Callable[[], MailSender],
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id])
    without = MailSender(units, vault, renderer, None)
    with capture_logs() as logs:
        assert [await without.send_due() for _ in range(3)] == [0, 0, 0]
    assert [entry["event"] for entry in logs] == ["mail.no_server"]
    assert [(row.state, row.attempts) for row in await rows(units)] == [("queued", 0)]
    assert await make_sender().send_due() == 1


async def test_a_stop_gives_the_rest_back_untried(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    await queue_confirmations(units, service, plan_id, [user_id] * 5)
    assert await sender.send_due(lambda: len(post.received) >= 2) == 2
    outcome = await rows(units)
    assert [(row.state, row.attempts) for row in outcome] == [("sent", 1)] * 2 + [("queued", 0)] * 3
    assert await sender.send_due() == 3
