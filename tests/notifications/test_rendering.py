"""What the mails say: right amounts and dates, in the reader's language, in headers that hold."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from quntedge.kit.money import Money
from quntedge.notifications.letters import Letter
from quntedge.notifications.render import MailRenderer, Sender, UnusableAddress
from quntedge.notifications.rules import Kind, ended_on, language, next_attempt, renewed_until
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.staff import STAFF_KINDS
from quntedge.notifications.words import LANGUAGES, decline_reason
from quntedge.payments.rules import DeclineClass
from quntedge.settings import ConfigurationError
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.notifications.conftest import Post, body
from tests.notifications.world import (
    MONTH_LATER,
    START,
    add_paid_transaction,
    add_plan,
    add_subscription,
    add_user,
    changed,
    failed,
    paid,
)

LETTER = Letter(
    id="ntf_01",
    kind="renewal_paid",
    to="kim@example.org",
    name="Kim Doe",
    locale="en",
    plan_name="Monthly",
    amount=Money(123456, "usd"),
    period_end=datetime(2026, 10, 1, 23, 30, tzinfo=UTC),
    grace_until=datetime(2026, 9, 8, 12, 0, tzinfo=UTC),
    invoice_number="INV-2026-000007",
    decline_class="soft",
)


def _flat(message: EmailMessage, subtype: str) -> str:
    return " ".join(body(message, subtype).split())


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_mail_exists_in_every_language(renderer: MailRenderer, kind: Kind, spoken: str) -> None:
    message = renderer.render(replace(LETTER, kind=kind.value, locale=spoken), START)
    assert message["Subject"]
    assert message["Content-Language"] == spoken
    assert message["X-Notification-Kind"] == kind.value
    for subtype in ("plain", "html"):
        text = body(message, subtype)
        customers = ("Monthly", "https://pay.quntedge.example/billing", "support@quntedge.example")
        for expected in ("QUNTEDGE_STAFF_EMAILS",) if kind in STAFF_KINDS else customers:
            assert expected in text
        assert "None" not in text
        assert "{{" not in text


@pytest.mark.parametrize(
    ("zone", "period_end", "grace_until"),
    [
        (None, "October 1, 2026", "September 8, 2026"),
        ("Europe/Paris", "October 2, 2026", "September 8, 2026"),
        ("Pacific/Kiritimati", "October 2, 2026", "September 9, 2026"),
        ("Atlantis/Capital", "October 1, 2026", "September 8, 2026"),
    ],
)
def test_days_are_those_of_the_reader(
    renderer: MailRenderer, zone: str | None, period_end: str, grace_until: str
) -> None:
    for kind, day in ((Kind.RENEWAL_PAID, period_end), (Kind.PAYMENT_FAILED, grace_until)):
        message = renderer.render(replace(LETTER, kind=kind.value, time_zone=zone), START)
        for subtype in ("plain", "html"):
            assert day in body(message, subtype)


def test_answers_reach_those_who_are_asked(renderer: MailRenderer) -> None:
    message = renderer.render(LETTER, START)
    assert "Reply to this mail" in body(message, "plain")
    assert message["Reply-To"] == "support@quntedge.example"


@pytest.mark.parametrize("kind", [Kind.SUBSCRIPTION_CONFIRMED, Kind.RENEWAL_PAID, Kind.TRIAL_STARTED])
@pytest.mark.parametrize(
    ("locale", "amount", "date"),
    [
        ("en", "$1,234.56", "October 1, 2026"),
        ("en-GB", "US$1,234.56", "1 October 2026"),
        ("fr", "1 234,56 $US", "1er octobre 2026"),
        ("fr_CA", "1 234,56 $ US", "1er octobre 2026"),
        ("de", "$1,234.56", "October 1, 2026"),
        ("no such locale", "$1,234.56", "October 1, 2026"),
    ],
)
def test_amounts_and_dates_are_written_as_the_reader_writes_them(
    renderer: MailRenderer, kind: Kind, locale: str, amount: str, date: str
) -> None:
    message = renderer.render(replace(LETTER, kind=kind.value, locale=locale), START)
    for subtype in ("plain", "html"):
        text = _flat(message, subtype)
        assert amount in text
        assert date in text


def test_the_headers(renderer: MailRenderer) -> None:
    message = renderer.render(LETTER, START)
    assert message["From"] == "QuntEdge <billing@quntedge.example>"
    assert message["To"] == "Kim Doe <kim@example.org>"
    assert message["Date"] == "Tue, 01 Sep 2026 12:00:00 +0000"
    assert message["Message-ID"] == "<ntf_01@quntedge.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85", "\r\n\r\n", "\x00"])
@pytest.mark.parametrize("field", ["name", "plan_name", "invoice_number"])
def test_no_value_breaks_out_of_its_header_or_adds_a_subject(renderer: MailRenderer, field: str, end: str) -> None:
    evil = f"Pro{end}Bcc: eve@example.org{end}{end}<b>free</b>"
    for kind in Kind:
        message = renderer.render(replace(LETTER, kind=kind.value, **{field: evil}), START)
        raw = message.as_bytes()
        head = raw.partition(b"\r\n\r\n")[0].decode()
        assert not any(line.lower().startswith("bcc") for line in head.splitlines())
        assert message["Bcc"] is None
        assert not any(line.startswith("Bcc") for line in body(message, "plain").splitlines())
        assert "<b>free" not in body(message, "html")


@pytest.mark.parametrize(
    "address",
    [
        "kim@example.org\r\nBcc: eve@example.org",
        "kim@example.org, eve@example.org",
        "<kim@example.org> SIZE=1",
        "kim",
        "kim@",
        "kïm@example.org",
        "",
        None,
    ],
)
def test_an_address_that_cannot_stand_in_a_header_is_refused(renderer: MailRenderer, address: str | None) -> None:
    with pytest.raises(UnusableAddress):
        renderer.render(replace(LETTER, to=address), START)


@pytest.mark.parametrize(
    "name", ["Zoë Müller", "李 小龍", 'Kim "the boss" Doe', "a, b; c@d", "=?utf-8?q?x?=", "x" * 300]
)
def test_any_name_survives_the_header(renderer: MailRenderer, name: str) -> None:
    message = renderer.render(replace(LETTER, name=name), START)
    (address,) = message["To"].addresses
    assert (address.addr_spec, address.display_name) == ("kim@example.org", name)
    assert all(len(line) <= 998 for line in message.as_bytes().splitlines())


def test_without_a_name_there_is_no_gap(renderer: MailRenderer) -> None:
    message = renderer.render(replace(LETTER, name=None), START)
    assert message["To"] == "kim@example.org"
    assert "Hello," in body(message, "plain")


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("decline_class", list(DeclineClass))
def test_a_decline_is_told_in_words(renderer: MailRenderer, decline_class: DeclineClass, spoken: str) -> None:
    letter = replace(LETTER, kind="payment_failed", decline_class=decline_class.value, locale=spoken)
    reason = decline_reason(decline_class.value, spoken)
    assert (reason is None) == (decline_class is DeclineClass.UNCLEAR)
    text = body(renderer.render(letter, START), "plain")
    assert decline_class.value not in text
    assert (reason or "") in text


@pytest.mark.parametrize("mail_from", ["", "QuntEdge", "QuntEdge <billing>", "x@y\nBcc: z@example.org"])
def test_a_sender_without_an_address_stops_the_start(mail_from: str) -> None:
    with pytest.raises(ConfigurationError, match="MAIL_FROM"):
        Sender.parse(mail_from)


def test_rules() -> None:
    assert [next_attempt(n, START) for n in (1, 7, 8)] == [
        START + timedelta(minutes=1),
        START + timedelta(hours=12),
        None,
    ]
    assert [language(locale, LANGUAGES) for locale in ("fr-CA", "FR", "fr_FR", "en-GB", "de", "")] == [
        "fr",
        "fr",
        "fr",
        "en",
        "en",
        "en",
    ]
    # The old end of the period, as known when the payment arrives first, is not the next renewal.
    assert renewed_until(START, START) is None
    assert renewed_until(MONTH_LATER, START) == MONTH_LATER
    assert renewed_until(None, START) is None
    # Cancelled at once: not "ended on" the period's end, which is still ahead.
    assert ended_on(None, MONTH_LATER, START) == START
    assert ended_on(None, START, MONTH_LATER) == START
    assert ended_on(START, MONTH_LATER, MONTH_LATER) == START


Send = Callable[[], MailSender]


async def test_a_confirmation_names_what_was_paid(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    user_id = await add_user(units, vault, locale="fr")
    await add_paid_transaction(units, user_id, "mem_other", 9900)
    await add_paid_transaction(units, user_id, "mem_1", 2175)
    await add_paid_transaction(units, user_id, "mem_1", 4400)
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id)])
        await unit.commit()
    await sender.send_due()
    text = _flat(post.received[0], "plain")
    assert "21,75 $US" in text
    assert "1er octobre 2026" in text
    assert "Bonjour Kim Doe" in text


async def test_a_confirmation_before_its_payment_names_the_agreed_price(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    user_id = await add_user(units, vault)
    subscription_id = await add_subscription(units, user_id, plan_id, renewal_price_minor=1900, currency="eur")
    async with units() as unit:
        await service.on_subscription_changed(unit, [changed(user_id, plan_id, subscription_id)])
        await unit.commit()
    await sender.send_due()
    assert "€19.00" in body(post.received[0], "plain")


async def test_a_lifetime_plan_names_its_price_and_no_renewal(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post
) -> None:
    plan_id = await add_plan(
        units, code="lifetime", name="Lifetime", kind="lifetime", price_minor=49900, period_days=None
    )
    user_id = await add_user(units, vault)
    subscription_id = await add_subscription(
        units, user_id, plan_id, status="completed", renewal_price_minor=0, currency="usd", period_end=None
    )
    async with units() as unit:
        await service.on_subscription_changed(
            unit, [changed(user_id, plan_id, subscription_id, status="completed", period_end=None)]
        )
        await unit.commit()
    await sender.send_due()
    text = body(post.received[0], "plain")
    assert "$499.00" in text
    assert "Renews" not in text


@pytest.mark.parametrize("moved", [True, False])
async def test_a_renewal_names_amount_invoice_and_the_next_one_when_known(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    vault: Vault,
    post: Post,
    plan_id: str,
    moved: bool,
) -> None:
    user_id = await add_user(units, vault)
    subscription_id = await add_subscription(units, user_id, plan_id, period_end=MONTH_LATER if moved else START)
    async with units() as unit:
        await service.on_invoice_paid(unit, [paid(user_id, plan_id, subscription_id)])
        await unit.commit()
    await sender.send_due()
    text = body(post.received[0], "plain")
    assert "$34.51" in text
    assert "INV-2026-000007" in text
    assert ("October 1, 2026" in text) == moved
    assert "September 1" not in text


async def test_a_renewal_for_nothing_says_so(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    user_id = await add_user(units, vault)
    async with units() as unit:
        await service.on_invoice_paid(unit, [paid(user_id, plan_id, None, total_minor=0)])
        await unit.commit()
    await sender.send_due()
    assert "$0.00" in body(post.received[0], "plain")


async def test_a_failed_payment_names_amount_reason_and_grace(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    user_id = await add_user(units, vault)
    subscription_id = await add_subscription(
        units, user_id, plan_id, status="past_due", grace_until=START + timedelta(days=7)
    )
    async with units() as unit:
        await service.on_payment_recorded(
            unit, [failed(user_id, plan_id, subscription_id, decline_class="needs_another_method")]
        )
        await unit.commit()
    await sender.send_due()
    text = _flat(post.received[0], "plain")
    assert "$29.00" in text
    assert "has expired" in text
    assert "September 8, 2026" in text


async def test_an_end_names_the_day_it_ended(
    units: UnitOfWorkFactory, service: NotificationService, sender: MailSender, vault: Vault, post: Post, plan_id: str
) -> None:
    user_id = await add_user(units, vault)
    ended_at = START - timedelta(days=2)
    subscription_id = await add_subscription(units, user_id, plan_id, status="canceled", ended_at=ended_at)
    async with units() as unit:
        fact = changed(user_id, plan_id, subscription_id, started=False, ended=True, status="canceled")
        await service.on_subscription_changed(unit, [fact])
        await unit.commit()
    await sender.send_due()
    text = body(post.received[0], "plain")
    assert "August 30, 2026" in text
    assert "October" not in text
