"""The sandbox cards of Whop and how each of them behaves."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

CHALLENGE_PASSWORD = "Checkout1!"  # noqa: S105 - published test password of the sandbox

_KNOWN = {
    "4242424242424242": ("visa", "succeeds"),
    "4000000000000002": ("visa", "declines"),
    "4000000000000341": ("visa", "declines_later"),
    "5385308360135181": ("mastercard", "challenges"),
}
_EXPIRY = re.compile(r"(\d{1,2})\s*/\s*(\d{2}|\d{4})", re.ASCII)


class CardProblem(Exception):
    """What the buyer typed is no usable card; the text can be shown."""


@dataclass(frozen=True, slots=True)
class Card:
    """A test card as typed, without its number."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    """Four digits."""
    behaviour: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a card refused: Whop's decline code and a sentence for people."""

    code: str
    message: str


DECLINED = Decline("generic_decline", "Your card was declined.")
NO_FUNDS = Decline("insufficient_funds", "Your card has insufficient funds.")
CHALLENGE_FAILED = Decline("three_d_secure_failed", "The bank could not confirm that it is you.")


def read_card(number: str, expiry: str, cvc: str, now: datetime) -> Card:
    """Reads what a buyer typed. Only the four test cards are accepted.

    Raises:
        CardProblem: unknown number, expiry in the past or unreadable, bad CVC.
    """
    digits = re.sub(r"[\s-]", "", number)
    if digits not in _KNOWN:
        raise CardProblem("This is a test shop: use one of the test cards shown below the form.")
    matched = _EXPIRY.fullmatch(expiry.strip())
    month, year = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    year += 2000 if year < 100 else 0
    if not 1 <= month <= 12:
        raise CardProblem("The expiry date must look like 04 / 30.")
    if (year, month) < (now.year, now.month):
        raise CardProblem("This card has expired: any future date will do.")
    if not re.fullmatch(r"\d{3,4}", cvc.strip(), re.ASCII):
        raise CardProblem("The security code has three or four digits.")
    brand, behaviour = _KNOWN[digits]
    fingerprint = hashlib.sha256(digits.encode()).hexdigest()[:16]
    return Card(brand, digits[-4:], month, year, behaviour, fingerprint)


def decline_at_checkout(behaviour: str) -> Decline | None:
    """Why a card refuses while its owner is present; None when it pays."""
    return DECLINED if behaviour == "declines" else None


def decline_off_session(behaviour: str) -> Decline | None:
    """Why a stored card refuses an automatic charge; None when it pays."""
    return NO_FUNDS if behaviour in ("declines", "declines_later") else None
