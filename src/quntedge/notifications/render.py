"""From a letter to a message: templates, the reader's language, and headers that nobody's name can break out of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from jinja2 import Template, TemplateError

from quntedge.invoices.library import PdfFile
from quntedge.kit.dates import at_home, day, instant, zone_of
from quntedge.kit.money import Money
from quntedge.notifications.dispute_words import reason_words
from quntedge.notifications.letters import Letter
from quntedge.notifications.rules import Kind, language
from quntedge.notifications.samples import Sample, samples
from quntedge.notifications.sandbox import Fault, check, environment, fault_of
from quntedge.notifications.wording import PARTS, Wording, packaged
from quntedge.notifications.words import LANGUAGES, decline_reason
from quntedge.plan_changes.lines import line_text
from quntedge.settings import ConfigurationError, Settings

KIND_HEADER = "X-Notification-Kind"
# Line ends of every kind, other control characters, and those that turn the direction of writing.
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_HOLE = re.compile(r"\n{3,}")
_NONE = re.compile(r"\bNone\b")
_ADDRESS = re.compile(
    r"[^\s@<>()\[\],;:\"\\\x00-\x1f\x7f-\uffff]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
)


class UnusableAddress(Exception):
    """The person's address is not one that can stand in a mail's header."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails come from."""

    name: str
    address: str

    @classmethod
    def parse(cls, mail_from: str) -> "Sender":
        """Reads `MAIL_FROM`, like "QuntEdge <billing@example.com>". Raises `ConfigurationError`."""
        name, address = parseaddr(mail_from)
        if not mail_from.isprintable() or not _ADDRESS.fullmatch(address):
            raise ConfigurationError("MAIL_FROM has no usable address: write it as Name <billing@example.com>.")
        return cls(one_line(name), address)

    @property
    def host(self) -> str:
        """The domain mails come from."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Words:
    """A mail as it is read."""

    subject: str
    text: str
    html: str


class MailRenderer:
    """Puts letters into words, English or French."""

    def __init__(
        self, sender: Sender, *, product_name: str, support_email: str, base_url: str, default_zone: str = "UTC"
    ) -> None:
        """`default_zone` is where readers live who have not told (an IANA name)."""
        self.sender = sender
        self._default_zone = default_zone
        self._everywhere = {
            "product_name": one_line(product_name),
            "support_email": one_line(support_email),
            "billing_url": f"{base_url}/billing",
            "recover_url": f"{base_url}/billing/recover",
            "change_url": f"{base_url}/billing/plan-change",
            "methods_url": f"{base_url}/billing/methods",
        }
        self._environments = {
            "subject": environment(html=False),
            "text": environment(html=False),
            "html": environment(html=True),
        }
        self._compiled: dict[str, Mapping[str, Template]] = {}

    def render(
        self, letter: Letter, now: datetime, wording: Wording | None = None, enclosed: Sequence[PdfFile] = ()
    ) -> EmailMessage:
        """The finished message, text with an HTML alternative and the files that are `enclosed`, dated `now`; without a
        `wording`, in the packaged one.

        Its Message-ID follows from the letter's id alone: a receiver that gets it twice can tell. Raises
        `UnusableAddress`, jinja2.TemplateError, ValueError for a kind that has no mail.
        """
        kind = Kind(letter.kind)
        spoken = language(letter.locale, LANGUAGES)
        words = self.words(letter, wording or packaged(kind, spoken))

        message = EmailMessage(policy=SMTP)
        message["From"] = Address(self.sender.name, addr_spec=self.sender.address)
        message["To"] = _recipient(letter)
        # The mails ask for answers; their sender may be an address that nobody reads.
        message["Reply-To"] = self._everywhere["support_email"]
        message["Subject"] = words.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{letter.id}@{self.sender.host}>"
        message["Auto-Submitted"] = "auto-generated"
        message[KIND_HEADER] = kind.value
        message.set_content(words.text, cte="quoted-printable")
        message.add_alternative(words.html, subtype="html", cte="quoted-printable")
        for file in enclosed:
            message.add_attachment(file.content, maintype="application", subtype="pdf", filename=file.name)
        # Last: adding an alternative moves the Content- headers to the first part.
        message["Content-Language"] = spoken
        return message

    def words(self, letter: Letter, wording: Wording) -> Words:
        """Subject and bodies. Raises whatever the templates raise, jinja2.TemplateError above all."""
        context = self._context(letter, wording.language)
        subject, text, html = (template.render(context) for template in self._templates(wording).values())
        # What a mail leaves out leaves no hole.
        return Words(one_line(subject), _HOLE.sub("\n\n", text).strip("\n") + "\n", html)

    def names(self) -> tuple[str, ...]:
        """The names that a mail's templates can use."""
        sample = samples(Kind.SUBSCRIPTION_CONFIRMED, LANGUAGES[0])[0]
        return tuple(sorted(self._context(sample.letter, LANGUAGES[0])))

    def faults(self, wording: Wording) -> list[Fault]:
        """Everything that keeps a wording from being used: what is wrong with its sources, else with what comes out
        for a letter of each shape."""
        names = self.names()
        found = [fault for part in PARTS for fault in check(self._environments[part], part, wording.part(part), names)]
        if found:
            return found
        templates = self._templates(replace(wording, id=None))
        for sample in samples(wording.kind, wording.language):
            context = self._context(sample.letter, wording.language)
            tried = (_fault_in(part, template, context, sample) for part, template in templates.items())
            found = [fault for fault in tried if fault is not None]
            if found:
                return found
        return []

    def _templates(self, wording: Wording) -> Mapping[str, Template]:
        if wording.id is not None and wording.id in self._compiled:
            return self._compiled[wording.id]
        made = {part: self._environments[part].from_string(wording.part(part)) for part in PARTS}
        if wording.id is not None:
            # Few: one for each kind and language, and one for each time that staff changed one since we started.
            self._compiled[wording.id] = made
        return made

    def _context(self, letter: Letter, spoken: str) -> dict[str, str | bool | None]:
        regional = _regional(letter.locale, spoken)
        zone = zone_of(letter.time_zone, self._default_zone)

        def day_of(moment: datetime | None) -> str | None:
            """The day that it is then where the reader lives."""
            return None if moment is None else day(at_home(moment, zone), regional)

        return self._everywhere | {
            "name": _line_or_none(letter.name),
            "plan_name": _line_or_none(letter.plan_name) or self._everywhere["product_name"],
            "amount": _money(letter.amount, regional),
            "period_end": day_of(letter.period_end),
            "grace_until": day_of(letter.grace_until),
            "invoice_number": _line_or_none(letter.invoice_number),
            "credit_note_number": _line_or_none(letter.credit_note_number),
            "credit_cancelled": letter.credit_cancelled,
            "resume_at": day_of(letter.resume_at),
            "access_until": day_of(letter.access_until),
            "charge_at": day_of(letter.charge_at),
            "without_access": letter.without_access,
            "about_trial": letter.about_trial,
            "reason": decline_reason(letter.decline_class, spoken),
            "next_step": letter.next_step,
            "next_try": day_of(letter.next_try_at),
            "ends_on": day_of(letter.ends_at),
            "contract": _line_or_none(letter.contract),
            "statement_name": _line_or_none(letter.statement_name),
            "received_at": _instant(letter.received_at, regional),
            "refund": _money(letter.refund, regional),
            "old_plan_name": _line_or_none(letter.old_plan_name),
            "starts_at": day_of(letter.starts_at),
            "old_amount": _money(letter.old_amount, regional),
            "calculation": _calculation(letter, spoken, regional, zone),
            "card": _line_or_none(letter.card),
            "card_expires": _line_or_none(letter.card_expires),
            "dispute_id": _line_or_none(letter.dispute_id),
            "dispute_at_whop": _line_or_none(letter.dispute_at_whop),
            "dispute_reason": reason_words(letter.dispute_reason, spoken),
            "dispute_due": _instant(letter.dispute_due, regional),
            "days_left": None if letter.days_left is None else str(letter.days_left),
            "inquiry": letter.inquiry,
        }


def renderer_for(settings: Settings) -> MailRenderer:
    """Mails as this installation writes them. Raises `ConfigurationError` for a sender without an address."""
    return MailRenderer(
        Sender.parse(settings.mail_from),
        product_name=settings.product_name,
        support_email=settings.support_email,
        base_url=settings.base_url,
        default_zone=settings.time_zone,
    )


def _fault_in(part: str, template: Template, context: Mapping[str, Any], sample: Sample) -> Fault | None:
    """What is wrong with one part of a mail for this letter."""
    case = f"(in the sample “{sample.shape}”)"
    try:
        written = template.render(context)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        fault = fault_of(part, error)
        return replace(fault, message=f"{fault.message} {case}")
    if not written.strip():
        return Fault(part, None, f"nothing is left of it {case}.")
    gap = next((line.strip() for line in written.splitlines() if _NONE.search(line)), None)
    if gap is not None:
        return Fault(part, None, f"“None” stands in it {case}: “{gap[:120]}”. Ask with if whether there is a value.")
    return None


def one_line(text: str) -> str:
    """The text without line ends, control characters and direction marks: harmless in a header."""
    return _UNPRINTABLE.sub(" ", text).strip()


def _line_or_none(text: str | None) -> str | None:
    return (one_line(text) or None) if text is not None else None


def _recipient(letter: Letter) -> Address:
    if letter.to is None or not _ADDRESS.fullmatch(letter.to):
        raise UnusableAddress
    return Address(one_line(letter.name or ""), addr_spec=letter.to)


def _regional(locale: str, spoken: str) -> str:
    """The person's locale for money and dates, as babel writes it, when it is a dialect of the language spoken."""
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return spoken
    return str(known) if known.language == spoken else spoken


def _money(amount: Money | None, regional: str) -> str | None:
    return None if amount is None else amount.format(regional)


def _calculation(letter: Letter, spoken: str, regional: str, zone: ZoneInfo) -> str | None:
    """A line of text for each line of a sum; None where there is none."""
    lines = (f"{line_text(line, spoken, zone)}: {line.amount.format(regional)}" for line in letter.calculation or ())
    return "\n".join(lines) or None


def _instant(moment: datetime | None, regional: str) -> str | None:
    """Day, time to the second, and time zone: proof of when something was received."""
    return None if moment is None else instant(moment, regional)
