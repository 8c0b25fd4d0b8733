"""What staff is told of disputes by mail: each news once for each address, which the database never holds."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.disputes.answers import new_response_id
from quntedge.gateway.disputed import EvidenceTexts
from quntedge.notifications import outbox
from quntedge.notifications.letters import Letter
from quntedge.notifications.staff import StaffMails
from tests.disputes.world import World

STAFF = {"ops@staff.test", "finance@staff.test"}


async def _remind(world: World) -> None:
    """As often as a sweep may find it: twice at each time."""
    for _ in range(2):
        async with world.runtime.units() as unit:
            await world.runtime.services.disputes.service.remind(unit, unit.clock.now())
            await unit.commit()


async def _queued(world: World) -> Counter[str]:
    rows = await world.rows("SELECT kind, params FROM notification WHERE user_id IS NULL")
    return Counter(row["kind"].removeprefix("staff_dispute_") + str(row["params"].get("days_left", "")) for row in rows)


async def _letters(world: World, mails: StaffMails) -> list[Letter]:
    """What would be sent now, without sending it."""
    async with world.runtime.units() as unit:
        await unit.session.execute(
            text("UPDATE notification SET state = 'skipped', error = 'not of this test' WHERE user_id IS NOT NULL")
        )
        claimed = await outbox.claim(unit, limit=20, held=())
        letters = [await mails.compose(unit.session, mail) for mail in claimed]
        await unit.rollback()
    return letters


def _mails(world: World, **settings: Any) -> StaffMails:
    values = {"addresses": world.runtime.settings.staff_emails, "locale": "en"} | settings
    return StaffMails(world.runtime.jobs, world.runtime.vault, **values)


async def test_each_news_is_told_once_to_everybody(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute(respond_within_days=7, inquiry=True)
    assert await _queued(world) == {"opened": 2}
    await world.rule(dispute_id, "needs_response")
    assert await _queued(world) == {"opened": 4}, "an inquiry that becomes a chargeback is news"
    await world.runtime.disputes.check()
    seen = []
    for _ in range(8):
        await _remind(world)
        seen.append(await _queued(world))
        await world.advance(days=1)
    assert [(found["due3"], found["due1"]) for found in seen] == [
        (0, 0), (0, 0), (0, 0), (0, 0), (2, 0), (2, 0), (2, 2), (2, 2),
    ]  # fmt: skip
    await world.rule(dispute_id, "lost")
    await world.hear()
    assert (await _queued(world))["lost"] == 2
    assert await world.alarms() == ["deadline"]

    kept = str(await world.rows("SELECT cause_key, params FROM notification WHERE user_id IS NULL"))
    assert "staff.test" not in kept
    letters = await _letters(world, _mails(world))
    assert Counter(letter.to for letter in letters if letter.kind == "staff_dispute_lost") == dict.fromkeys(STAFF, 1)
    reminders = {letter.moot for letter in letters if letter.kind == "staff_dispute_due"}
    assert reminders == {"the dispute waits for no evidence any more"}


async def test_they_say_what_is_at_stake_and_until_when(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute(respond_within_days=7, reason="product_not_received")
    for locale, subject, due in (
        ("en", "A payment is disputed: $29.00", "September 8, 2026"),
        ("fr", "Un paiement est contesté : 29,00 $US", "8 septembre 2026"),
    ):
        letters = await _letters(world, _mails(world, locale=locale))
        assert {letter.to for letter in letters} == STAFF
        message = world.runtime.services.mails.renderer.render(letters[0], world.clock.now())
        body = message.get_body(("plain",))
        assert body is not None
        assert " ".join(str(message["Subject"]).split()) == subject
        assert (message["Content-Language"], due in body.get_content()) == (locale, True)
        assert dispute_id in body.get_content()


async def test_nobody_is_reminded_of_what_was_sent_or_where_nobody_reads(world: World) -> None:
    await world.buy()
    await world.dispute(respond_within_days=7)
    await world.advance(days=4)
    await _remind(world)
    row = await world.row("SELECT id FROM dispute")
    await world.runtime.services.disputes.answers.submit(
        row["id"], EvidenceTexts(notes="All of it."), key=new_response_id(world.clock.now()), actor="staff:test@cli"
    )
    for mails, to in ((_mails(world), STAFF), (_mails(world, addresses=[]), {None})):
        letters = await _letters(world, mails)
        assert {letter.to for letter in letters} == to
        assert {(letter.kind, letter.moot is None) for letter in letters} == {
            ("staff_dispute_opened", True),
            ("staff_dispute_due", False),
        }
    await world.advance(days=2)
    await _remind(world)
    assert (await _queued(world))["due1"] == 0


@pytest.mark.parametrize("days", [1, 2])
async def test_a_short_time_is_told_when_it_opens_and_not_again_at_once(world: World, days: int) -> None:
    await world.buy()
    await world.dispute(respond_within_days=days)
    await _remind(world)
    assert await _queued(world) == {"opened": 2}
    await world.advance(hours=24 * days - 24)
    await _remind(world)
    assert await _queued(world) == Counter({"opened": 2, "due1": 2 if days == 2 else 0}) - Counter()
