"""Mails as staff word them: versions, who wins, what is sent."""

import asyncio

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.notifications.editing import Draft, Edition, MailTemplateService
from quntedge.notifications.errors import MailNotFound, TemplateChanged, TemplateRefused
from quntedge.notifications.render import MailRenderer
from quntedge.notifications.rules import Kind
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.wording import PACKAGED, packaged
from quntedge.notifications.words import LANGUAGES
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.notifications.conftest import Post, body
from tests.notifications.world import add_user, queue_confirmations, rows

KIND = Kind.SUBSCRIPTION_CONFIRMED.value


@pytest.fixture
def mails(renderer: MailRenderer) -> MailTemplateService:
    return MailTemplateService(renderer)


async def save(units: UnitOfWorkFactory, mails: MailTemplateService, draft: Draft, **options: object) -> Edition:
    async with units() as unit:
        kind, locale = str(options.pop("kind", KIND)), str(options.pop("locale", "en"))
        based_on = options.pop("based_on", None)
        assert based_on is None or isinstance(based_on, int)
        edition = await mails.save(unit, kind, locale, draft, by="staff:kim", based_on=based_on)
        await unit.commit()
    return edition


async def history(units: UnitOfWorkFactory, mails: MailTemplateService) -> list[tuple[int, bool, str]]:
    async with units() as unit:
        return [
            (edition.wording.version, edition.active, edition.wording.subject)
            for edition in await mails.history(unit, KIND, "en")
        ]


async def test_without_an_edited_version_the_packaged_one_is_in_use(
    units: UnitOfWorkFactory, mails: MailTemplateService
) -> None:
    async with units() as unit:
        overview = await mails.overview(unit)
        current = await mails.current(unit, KIND, "fr")
    assert len(overview) == len(Kind) * len(LANGUAGES)
    assert {edition.wording.version for edition in overview} == {PACKAGED}
    assert current.wording == packaged(Kind.SUBSCRIPTION_CONFIRMED, "fr")
    assert await history(units, mails) == [(0, True, packaged(Kind.SUBSCRIPTION_CONFIRMED, "en").subject)]


async def test_each_change_is_a_version_and_any_of_them_comes_back(
    units: UnitOfWorkFactory, mails: MailTemplateService
) -> None:
    first = await save(units, mails, Draft(subject="One"))
    assert (first.wording.version, first.created_by, first.active) == (1, "staff:kim", True)
    assert first.wording.text == packaged(Kind.SUBSCRIPTION_CONFIRMED, "en").text, "what is not given stays"
    await save(units, mails, Draft(subject="Two"))
    other = await save(units, mails, Draft(subject="Deux"), locale="fr")
    assert other.wording.version == 1, "each language counts for itself"
    async with units() as unit:
        back = await mails.activate(unit, KIND, "en", 1, by="staff:lee")
        await unit.commit()
    assert (back.wording.subject, back.switched_by) == ("One", "staff:lee")
    ours = packaged(Kind.SUBSCRIPTION_CONFIRMED, "en").subject
    assert await history(units, mails) == [(2, False, "Two"), (1, True, "One"), (0, False, ours)]
    async with units() as unit:
        await mails.activate(unit, KIND, "en", PACKAGED, by="staff:lee")
        await unit.commit()
    assert [active for _, active, _ in await history(units, mails)] == [False, False, True]
    third = await save(units, mails, Draft(text="Three, {{ plan_name }}"))
    assert (third.wording.version, third.wording.subject) == (3, ours), "it builds on what was in use"


async def test_saying_the_same_again_makes_no_version(units: UnitOfWorkFactory, mails: MailTemplateService) -> None:
    ours = packaged(Kind.SUBSCRIPTION_CONFIRMED, "en")
    same = Draft(ours.subject, ours.text.replace("\n", "\r\n") + "\r\n", ours.html)
    assert (await save(units, mails, same)).wording.version == PACKAGED
    await save(units, mails, Draft(subject="One"))
    assert (await save(units, mails, Draft(subject="One"))).wording.version == 1
    async with units() as unit:
        assert (await mails.activate(unit, KIND, "en", 1, by="x")).switched_by == "staff:kim", "nothing was switched"


async def test_what_cannot_be_used_changes_nothing_and_says_why(
    units: UnitOfWorkFactory, mails: MailTemplateService
) -> None:
    with pytest.raises(TemplateRefused) as refused:
        await save(units, mails, Draft(subject="{{ x }}", html="a\n{{ y }}"))
    assert [error["field"] for error in refused.value.errors] == ["subject", "html"]
    assert refused.value.errors[1]["message"].startswith("line 2: there is no name “y”. There are: ")
    assert "plan_name" in refused.value.extra["names"]
    assert len(await history(units, mails)) == 1


@pytest.mark.parametrize(
    ("kind", "locale", "message"),
    [
        ("birthday", "en", "There is no kind of mail 'birthday'. There are: subscription_confirmed, "),
        (KIND, "de", "Mails are not written in 'de'. There are: en, fr."),
        ("../layout", "en", "There is no kind"),
    ],
)
async def test_a_mail_that_does_not_exist(
    units: UnitOfWorkFactory, mails: MailTemplateService, kind: str, locale: str, message: str
) -> None:
    with pytest.raises(MailNotFound, match=message.replace(".", r"\.").replace("(", r"\(")):
        await save(units, mails, Draft(subject="x"), kind=kind, locale=locale)
    async with units() as unit:
        with pytest.raises(MailNotFound, match="There is no version 7"):
            await mails.activate(unit, KIND, "en", 7, by="x")


async def test_two_writers_are_told_of_each_other(units: UnitOfWorkFactory, mails: MailTemplateService) -> None:
    outcomes = await asyncio.gather(
        *(save(units, mails, Draft(subject=f"Number {n}"), based_on=0) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Edition) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, TemplateChanged) for outcome in outcomes) == 7
    await asyncio.gather(*(save(units, mails, Draft(subject=f"Letter {n}")) for n in "abcdefgh"))
    versions = await history(units, mails)
    assert [version for version, _, _ in versions] == list(range(9, -1, -1)), "no version is lost or counted twice"
    assert [active for _, active, _ in versions].count(True) == 1


async def test_mails_go_out_as_staff_worded_them(
    units: UnitOfWorkFactory,
    service: NotificationService,
    mails: MailTemplateService,
    sender: MailSender,
    vault: Vault,
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    french = await add_user(units, vault, email="luc@example.org", locale="fr-CA")
    await queue_confirmations(units, service, plan_id, [user_id, french])
    await save(units, mails, Draft(subject="Welcome, {{ name or 'friend' }}", text="Enjoy {{ plan_name }}."))
    assert await sender.send_due() == 2
    by_recipient = {str(message["To"]): message for message in post.received}
    edited, untouched = by_recipient["Kim Doe <kim@example.org>"], by_recipient["Kim Doe <luc@example.org>"]
    assert edited["Subject"] == "Welcome, Kim Doe"
    assert body(edited, "plain").strip() == "Enjoy Monthly."
    assert "Your plan is active" in body(edited, "html"), "the HTML was left as it was"
    assert "abonnement" in str(untouched["Subject"])


async def test_a_change_holds_for_the_next_batch_without_a_restart(
    units: UnitOfWorkFactory,
    service: NotificationService,
    mails: MailTemplateService,
    sender: MailSender,
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    for number, subject in enumerate(("One", "Two")):
        await save(units, mails, Draft(subject=subject))
        await queue_confirmations(units, service, plan_id, [user_id] * (number + 1))
        await sender.send_due()
    assert [str(message["Subject"]) for message in post.received] == ["One", "Two"]


async def test_a_version_that_this_release_cannot_use_does_not_keep_the_mail_back(
    units: UnitOfWorkFactory,
    service: NotificationService,
    mails: MailTemplateService,
    sender: MailSender,
    post: Post,
    plan_id: str,
    user_id: str,
) -> None:
    await save(units, mails, Draft(subject="One"))
    async with units() as unit:
        await (await unit.connection()).execute(text("UPDATE mail_template SET text = 'Dear {{ nickname }}'"))
        await unit.commit()
    async with units() as unit:
        ((edition, (fault,)),) = await mails.faulty(unit)
    assert (edition.wording.kind, fault.message[:30]) == (Kind.SUBSCRIPTION_CONFIRMED, "there is no name “nickname”. T")
    await queue_confirmations(units, service, plan_id, [user_id])
    with capture_logs() as logs:
        assert await sender.send_due() == 1
    assert "mail.edited_template_failed" in [entry["event"] for entry in logs]
    assert "Your QuntEdge Monthly plan is active" in str(post.received[0]["Subject"])
    assert [row.state for row in await rows(units)] == ["sent"]


async def test_going_back_to_what_this_release_cannot_use_is_refused(
    units: UnitOfWorkFactory, mails: MailTemplateService
) -> None:
    await save(units, mails, Draft(subject="One"))
    await save(units, mails, Draft(subject="Two"))
    async with units() as unit:
        statement = text("UPDATE mail_template SET text = '{{ nickname }}' WHERE version = 1")
        await (await unit.connection()).execute(statement)
        await unit.commit()
    async with units() as unit:
        with pytest.raises(TemplateRefused, match="nickname"):
            await mails.activate(unit, KIND, "en", 1, by="x")


def test_the_shapes_of_a_mail_are_shown_once_each(mails: MailTemplateService) -> None:
    shown = mails.show(packaged(Kind.PAYMENT_FAILED, "en"))
    assert len({shape.words for shape in shown}) == len(shown)
    assert [shape.shape for shape in shown][:1] == ["everything is known"]
    assert any("confirm the payment" in shape.words.text for shape in shown)
    assert len(shown) == len(mails.show(packaged(Kind.PAYMENT_FAILED, "fr")))
    plain = Draft("Hello", "Hello", "<p>Hello</p>").over(packaged(Kind.PAYMENT_FAILED, "en"))
    assert len(mails.show(plain)) == 1
    with pytest.raises(TemplateRefused):
        mails.show(Draft(subject="{{ x }}").over(plain))
