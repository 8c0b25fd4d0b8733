"""From a letter to a message: templates, the reader's language, and headers that nobody's name can break out of."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from quntedge.kit.money import Money
from quntedge.notifications.letters import Letter
from quntedge.notifications.rules import Kind, language
from quntedge.notifications.words import LANGUAGES, decline_reason
from quntedge.settings import ConfigurationError

KIND_HEADER = "X-Notification-Kind"
_SUBJECT = "Subject: "
# Line ends of every kind, other control characters, and those that turn the direction of writing.
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
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


class MailRenderer:
    """Puts letters into words, English or French."""

    def __init__(self, sender: Sender, *, product_name: str, support_email: str, base_url: str) -> None:
        self.sender = sender
        self._everywhere = {
            "product_name": one_line(product_name),
            "support_email": one_line(support_email),
            "billing_url": f"{base_url}/billing",
        }
        self._templates = Environment(
            loader=PackageLoader("quntedge.notifications", "templates"),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def render(self, letter: Letter, now: datetime) -> EmailMessage:
        """The finished message, text with an HTML alternative, dated `now`.

        Its Message-ID follows from the letter's id alone: a receiver that gets it twice can tell. Raises
        `UnusableAddress`, jinja2.TemplateError, ValueError for a kind that has no mail.
        """
        kind = Kind(letter.kind)
        spoken = language(letter.locale, LANGUAGES)
        context = self._context(letter, spoken)
        subject, text = _split(self._templates.get_template(f"{kind}.{spoken}.txt").render(context))
        html = self._templates.get_template(f"{kind}.{spoken}.html").render(context)

        message = EmailMessage(policy=SMTP)
        message["From"] = Address(self.sender.name, addr_spec=self.sender.address)
        message["To"] = _recipient(letter)
        message["Subject"] = subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{letter.id}@{self.sender.host}>"
        message["Auto-Submitted"] = "auto-generated"
        message[KIND_HEADER] = kind.value
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        # Last: adding an alternative moves the Content- headers to the first part.
        message["Content-Language"] = spoken
        return message

    def _context(self, letter: Letter, spoken: str) -> dict[str, str | None]:
        regional = _regional(letter.locale, spoken)
        return self._everywhere | {
            "name": _line_or_none(letter.name),
            "plan_name": _line_or_none(letter.plan_name) or self._everywhere["product_name"],
            "amount": _money(letter.amount, regional),
            "period_end": _date(letter.period_end, regional),
            "grace_until": _date(letter.grace_until, regional),
            "invoice_number": _line_or_none(letter.invoice_number),
            "reason": decline_reason(letter.decline_class, spoken),
        }


def one_line(text: str) -> str:
    """The text without line ends, control characters and direction marks: harmless in a header."""
    return _UNPRINTABLE.sub(" ", text).strip()


def _line_or_none(text: str | None) -> str | None:
    return (one_line(text) or None) if text is not None else None


def _recipient(letter: Letter) -> Address:
    if letter.to is None or not _ADDRESS.fullmatch(letter.to):
        raise UnusableAddress
    return Address(one_line(letter.name or ""), addr_spec=letter.to)


def _split(rendered: str) -> tuple[str, str]:
    """Subject and body of a text template. Raises ValueError when it does not begin with its subject."""
    first, _, body = rendered.partition("\n")
    if not first.startswith(_SUBJECT):
        raise ValueError("a mail's text template must begin with its subject")
    return one_line(first.removeprefix(_SUBJECT)), body.strip("\n") + "\n"


def _regional(locale: str, spoken: str) -> str:
    """The person's locale for money and dates, as babel writes it, when it is a dialect of the language spoken."""
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return spoken
    return str(known) if known.language == spoken else spoken


def _money(amount: Money | None, regional: str) -> str | None:
    return None if amount is None else amount.format(regional)


def _date(moment: datetime | None, regional: str) -> str | None:
    return None if moment is None else format_date(moment, "long", locale=regional)
