"""Mails about pauses and trials: once each, true when they go out, and clear about access and money."""

from datetime import timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import insert, text

from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.trials.events import TrialEnding
from quntedge.trials.models import Trial
from tests.notifications.conftest import Post, body
from tests.notifications.world import MONTH_LATER, START, add_subscription, changed, paid, rows

_OFFER = text("UPDATE plan_price SET trial_days = :days")


def flat(message: EmailMessage, subtype: str = "plain") -> str:
    return " ".join(body(message, subtype).split())


def began(user_id: str, plan_id: str, subscription_id: str, **values: object) -> PauseBegan:
    fields = {
        "pause_id": "pau_1",
        "subscription_id": subscription_id,
        "user_id": user_id,
        "plan_id": plan_id,
        "paused_at": START,
        "resume_at": MONTH_LATER,
        "access_until": START + timedelta(days=12),
        "period_end": START + timedelta(days=12),
    } | values
    return PauseBegan(**fields)  # type: ignore[arg-type]


async def test_a_pause_is_explained(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, user_id: str, plan_id: str
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, status="paused")
    shapes: list[tuple[dict[str, object], list[str], str]] = [
        (
            {},
            ["is paused until October 1, 2026", "You keep access until September 13, 2026", "remind"],
            "all the while",
        ),
        ({"access_until": None}, ["You keep your access all the while", "remind"], "no access"),
        ({"access_until": START}, ["You have no access to the plan while it is paused"], "Access until"),
        ({"resume_at": None}, ["is paused. Nothing is charged", "lasts until you resume"], "Paused until"),
    ]
    for number, (values, said, unsaid) in enumerate(shapes):
        fact = began(user_id, plan_id, subscription_id, **values | {"pause_id": f"pau_{number}"})
        for _ in range(2):
            async with units() as unit:
                await service.on_pause_began(unit, [fact])
                await unit.commit()
        assert await sender.send_due() == 1
        written = flat(post.received[-1])
        assert all(words in written for words in said), written
        assert unsaid not in written
        assert "Nothing is charged" in flat(post.received[-1], "html")


@pytest.mark.parametrize(("status", "state"), [("paused", "sent"), ("active", "skipped")])
async def test_the_end_of_a_pause_is_announced_only_while_it_comes(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    user_id: str,
    plan_id: str,
    status: str,
    state: str,
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, status=status)
    fact = PauseEnding("pau_1", subscription_id, user_id, plan_id, MONTH_LATER, MONTH_LATER)
    async with units() as unit:
        await service.on_pause_ending(unit, [fact])
        await unit.commit()
    await sender.send_due()
    assert [row.state for row in await rows(units)] == [state]
    for message in post.received:
        assert "The next payment of $29.00 is due on October 1, 2026." in flat(message)


async def test_the_way_back_says_when_the_next_payment_comes(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, user_id: str, plan_id: str
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id)
    fact = PauseEnded("pau_1", subscription_id, user_id, plan_id, START, MONTH_LATER)
    async with units() as unit:
        await service.on_pause_ended(unit, [fact, fact])
        await unit.commit()
    assert await sender.send_due() == 1
    assert "is due on October 1, 2026" in flat(post.received[0])


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"status": "trialing"}, "sent"),
        ({"status": "trialing", "cancel_at_period_end": True}, "skipped"),
        ({"status": "active"}, "skipped"),
    ],
)
async def test_the_end_of_a_trial_is_announced_only_where_a_charge_follows(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    user_id: str,
    plan_id: str,
    values: dict[str, object],
    state: str,
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, **values)
    async with units() as unit:
        await service.on_trial_ending(unit, [TrialEnding("mem_1", subscription_id, user_id, plan_id, MONTH_LATER)])
        await unit.commit()
    await sender.send_due()
    assert [row.state for row in await rows(units)] == [state]
    for message in post.received:
        assert "ends on October 1, 2026" in flat(message)
        assert "$29.00 is charged" in flat(message)


async def test_the_payment_that_ends_a_trial_gets_one_mail_that_says_so(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, post: Post, user_id: str, plan_id: str
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id)
    await add_trial(units, user_id, plan_id, subscription_id, state="converted", transaction_id="txn_1")
    facts = [
        paid(user_id, plan_id, subscription_id),
        paid(user_id, plan_id, subscription_id, invoice_id="inv_2", transaction_id="txn_2"),
    ]
    for _ in range(2):
        async with units() as unit:
            await service.on_invoice_paid(unit, facts)
            await unit.commit()
    assert sorted(row.kind for row in await rows(units)) == ["renewal_paid", "trial_converted"]
    await sender.send_due()
    (written,) = (flat(message) for message in post.received if "trial" in str(message["subject"]))
    assert all(words in written for words in ("Your free trial is over", "$34.51", "INV-2026-000007"))


@pytest.mark.parametrize(("trial_days", "has_trial"), [(7, False), (7, True), (0, False)])
async def test_who_paid_at_once_where_a_trial_is_offered_is_told_why(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    user_id: str,
    plan_id: str,
    trial_days: int,
    has_trial: bool,
) -> None:
    async with units() as unit:
        await unit.session.execute(_OFFER, {"days": trial_days})
        await unit.commit()
    subscription_id = await add_subscription(units, user_id, plan_id)
    if has_trial:
        await add_trial(units, user_id, plan_id, subscription_id, state="converted")
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id, subscription_id)])
        await unit.commit()
    assert await sender.send_due() == 1
    told = "No free trial applied" in flat(post.received[0])
    assert told is (bool(trial_days) and not has_trial)


@pytest.mark.parametrize(("state", "said"), [("ended", "nothing was charged"), ("converted", "nothing more will be")])
async def test_an_ended_trial_is_not_called_an_ended_plan(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    post: Post,
    user_id: str,
    plan_id: str,
    state: str,
    said: str,
) -> None:
    subscription_id = await add_subscription(units, user_id, plan_id, status="canceled", ended_at=START)
    await add_trial(units, user_id, plan_id, subscription_id, state=state)
    fact = changed(user_id, plan_id, subscription_id, started=False, ended=True, status="canceled")
    async with units() as unit:
        await service.on_subscription_changed(unit, [fact])
        await unit.commit()
    assert await sender.send_due() == 1
    assert said in flat(post.received[0])
    assert ("free trial" in str(post.received[0]["subject"])) is (state == "ended")


async def add_trial(
    units: UnitOfWorkFactory, user_id: str, plan_id: str, subscription_id: str, **values: object
) -> None:
    async with units() as unit:
        row = {
            "whop_membership_id": "mem_1",
            "subscription_id": subscription_id,
            "user_id": user_id,
            "plan_id": plan_id,
            "started_at": START,
        } | values
        await unit.session.execute(insert(Trial).values(row))
        await unit.commit()
