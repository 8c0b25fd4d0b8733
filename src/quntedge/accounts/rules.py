"""What a customer may be called, which e-mail addresses and passwords we take, and how long a session lives. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from quntedge.kit.errors import FieldError, Malformed

LOCALES = ("en", "fr")
EMAIL_MAXIMUM = 254
PASSWORD_MINIMUM = 10
PASSWORD_MAXIMUM = 200
NAME_MAXIMUM = 100

# Long enough that a customer who looks in once a billing month stays signed in.
IDLE_LIFETIME = timedelta(days=35)
ABSOLUTE_LIFETIME = timedelta(days=90)
SEEN_INTERVAL = timedelta(minutes=10)

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOLDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")

# The passwords of ten and more characters that lead every published list of guesses. A rule for length alone lets
# exactly these through; a longer list belongs to a breach service, not into the code.
_COMMON_PASSWORDS = frozenset(
    "1234567890 12345678910 123456789a 0123456789 0987654321 9876543210 1111111111 0000000000 1q2w3e4r5t qwertyuiop"
    " 1qaz2wsx3edc asdfghjkl; q1w2e3r4t5y6 qwerty12345 qwerty123456 qwertyuiop123 password12 password123 password1234"
    " password12345 passwordpassword password123! passw0rd123 mypassword123 letmein123 letmeinplease welcome123"
    " welcome1234 iloveyou123 iloveyou12 abcdefghij abcdefghijk abc1234567 abcd123456 a123456789 aa12345678"
    " princess123 football123 baseball123 superman123 sunshine123 changeme123 changemenow administrator admin12345"
    " admin123456 1234567891 123123123123 123321123321 q1w2e3r4t5 zaq12wsxcde3"
    " trustno1trustno1 correcthorsebatterystaple".split()
)


class InvalidAccount(Malformed):
    """Some of what was typed into the form cannot be taken; `errors` says which field and how to mend it."""

    code = "invalid_account"
    title = "Some of the account's data cannot be used"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a person signs up with, checked and in its normal form."""

    email: str
    password: str
    name: str
    locale: str


def check_sign_up(email: str, password: str, name: str, locale: str, accept_terms: bool) -> NewAccount:
    """Checks all fields at once, so that a form can show every mistake. Raises `InvalidAccount`."""
    errors: list[FieldError] = []

    def collect(field: str, problem: str | None) -> None:
        if problem is not None:
            errors.append({"field": field, "message": problem})

    address, title = normal_email(email), normal_text(name)
    secret = normal_password(password)
    collect("email", email_problem(address))
    collect("password", password_problem(secret, address))
    collect("name", name_problem(title))
    collect("locale", locale_problem(locale))
    if not accept_terms:
        collect("accept_terms", "Please accept the terms to open an account.")
    if errors:
        raise InvalidAccount(errors[0]["message"] if len(errors) == 1 else "", errors=errors)
    return NewAccount(address, secret, title, locale)


def check_locale(locale: str) -> None:
    """Raises `InvalidAccount` for a language we do not speak."""
    problem = locale_problem(locale)
    if problem is not None:
        raise InvalidAccount(problem, errors=[{"field": "locale", "message": problem}])


def locale_problem(locale: str) -> str | None:
    """What is wrong with a language; None when nothing is."""
    return None if locale in LOCALES else f"Choose one of the languages we speak: {', '.join(LOCALES)}."


def check_time_zone(name: str) -> None:
    """Raises `InvalidAccount` for a time zone that this machine does not know."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        problem = "There is no such time zone. Send an IANA name, such as Europe/Paris."
        raise InvalidAccount(problem, errors=[{"field": "time_zone", "message": problem}]) from None


def normal_email(text: str) -> str:
    """The form in which an address is kept: without blanks around it, the domain in lower case."""
    local, at, domain = text.strip().rpartition("@")
    return f"{local}{at}{domain.lower()}"


_DOTS_MEAN_NOTHING = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def mailbox_of(address: str) -> str:
    """The mailbox an address leads to, as far as can be told: in lower case, without what follows a plus, and at Gmail
    without dots. For hints only: elsewhere a plus may be part of a name."""
    local, _, domain = address.strip().casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTS_MEAN_NOTHING:
        local, domain = local.replace(".", ""), _DOTS_MEAN_NOTHING[domain]
    return f"{local}@{domain}"


def email_problem(address: str) -> str | None:
    """What is wrong with an address, in words for the person who typed it; None when nothing is.

    Deliberately narrower than RFC 5322: ASCII, no quoted local parts, a domain with a dot. Only a mail that arrives
    proves an address anyway.
    """
    if not address:
        return "Enter your e-mail address."
    if len(address) > EMAIL_MAXIMUM:
        return f"An e-mail address has at most {EMAIL_MAXIMUM} characters."
    if address.count("@") != 1:
        return "An e-mail address has exactly one @, as in name@example.com."
    local, _, domain = address.partition("@")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        return "The part before the @ has a character or a length that e-mail addresses cannot have."
    labels = domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return "The part after the @ must be a domain, as in name@example.com."
    return None


def normal_password(text: str) -> str:
    """The same password typed on different keyboards gives the same characters (NFKC, as NIST SP 800-63B advises)."""
    return unicodedata.normalize("NFKC", text)


def password_problem(password: str, email: str) -> str | None:
    """What is wrong with a password, in words for the person who chose it; None when nothing is."""
    if len(password) < PASSWORD_MINIMUM:
        return f"Use at least {PASSWORD_MINIMUM} characters; a few random words are easy to remember."
    if len(password) > PASSWORD_MAXIMUM:
        return f"Use at most {PASSWORD_MAXIMUM} characters."
    if not _encodable(password):
        return "The password holds a character that cannot be stored."
    folded = password.casefold().strip()
    if folded == email.casefold():
        return "Your password must not be your e-mail address."
    if folded in _COMMON_PASSWORDS or len(set(folded)) < 3:
        return "This password is one of the first that are guessed; choose another one."
    return None


def normal_text(text: str) -> str:
    """Composed characters, single blanks, none around."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def name_problem(name: str) -> str | None:
    """What is wrong with a name; None when nothing is."""
    if not name:
        return "Enter a name."
    if len(name) > NAME_MAXIMUM:
        return f"A name has at most {NAME_MAXIMUM} characters."
    if not name.isprintable():
        return "A name consists of printable characters."
    return None


def holder_name(text: str) -> str:
    """The short name of somebody in staff in its normal form: `Kim` and `kim` are one person."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def holder_problem(name: str) -> str | None:
    """What is wrong with a holder's name, in a sentence; None if nothing is."""
    if _HOLDER.fullmatch(name):
        return None
    return "A holder is named like a user of a machine: letters, digits, '.', '_' and '-', at most 60 of them."


def staff(name: str) -> str:
    """Somebody in staff as records name them, whatever tool they use."""
    return f"staff:{name}"


def name_from_gateway(text: str | None) -> str | None:
    """A name as the gateway knows it, made to fit; None when nothing usable is left of it."""
    if text is None:
        return None
    printable = "".join(character if character.isprintable() else " " for character in text)
    return normal_text(printable)[:NAME_MAXIMUM].rstrip() or None


def session_expiry(created_at: datetime, seen_at: datetime) -> datetime:
    """Until when a session lives that was last seen at `seen_at`."""
    return min(seen_at + IDLE_LIFETIME, created_at + ABSOLUTE_LIFETIME)


def unknown_scopes(scopes: Sequence[str], known: Sequence[str]) -> list[str]:
    """The scopes nobody has heard of, in the order given."""
    return [scope for scope in dict.fromkeys(scopes) if scope not in known]


def _encodable(text: str) -> bool:
    # A lone surrogate can arrive through JSON and has no UTF-8 form.
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
