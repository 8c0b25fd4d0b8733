"""Mails that are not sent, or not yet: nobody to write to, not true any more, not possible now."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.notifications.render import MailRenderer
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.notifications.conftest import Post
from tests.notifications.world import (
    add_paid_transaction,
    add_subscription,
    add_user,
    changed,
    failed,
    queue_confirmations,
    rows,
)


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
        ("past_due", "requires_action", None),
        ("past_due", "uncollectible", "the payment is not collected any more"),
        ("past_due", "void", "the payment is not collected any more"),
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
