"""The sandbox cards of Whop, some more for single decline codes, and how each of them behaves."""

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
    # From here on the emulator's own: Whop's sandbox has four cards.
    "5555555555554444": ("mastercard", "succeeds"),
    "378282246310005": ("amex", "succeeds"),
    "4000002760003184": ("visa", "always_challenges"),
    "4000000000000077": ("visa", "pends"),
    "4000000000000085": ("visa", "pends:bank_insufficient_funds"),
    "4000000000009995": ("visa", "declines:insufficient_funds"),
    "4000000000000101": ("visa", "declines:card_declined_by_issuer"),
    "4000000000009987": ("visa", "declines:lost_card"),
    "4000000000009979": ("visa", "declines:stolen_card"),
    "4000000000000069": ("visa", "declines:expired_card"),
    "4000000000000127": ("visa", "declines:invalid_cvc"),
    "4000000000000119": ("visa", "declines:processing_error"),
    "4000000000006975": ("visa", "declines:card_velocity_exceeded"),
    "4100000000000019": ("visa", "declines:suspected_fraud"),
    "4000000000001341": ("visa", "declines_later:expired_card"),
    "4000000000002341": ("visa", "declines_later:lost_card"),
    "4000000000003341": ("visa", "declines_later:card_declined_by_issuer"),
    "4000000000004341": ("visa", "declines_later:processing_error"),
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
NOT_CONFIRMED = Decline("authentication_required", "The bank wants the card's owner to confirm this payment.")
CHALLENGE_FAILED = Decline("three_d_secure_failed", "The bank could not confirm that it is you.")


def read_card(number: str, expiry: str, cvc: str, now: datetime) -> Card:
    """Reads what a buyer typed. Only test cards are accepted.

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
    kind, _, code = behaviour.partition(":")
    return (declined_with(code) if code else DECLINED) if kind == "declines" else None


def decline_off_session(behaviour: str) -> Decline | None:
    """Why a stored card refuses an automatic charge; None when it pays or asks for its owner."""
    kind, _, code = behaviour.partition(":")
    return (declined_with(code) if code else NO_FUNDS) if kind in ("declines", "declines_later") else None


def pends(behaviour: str) -> bool:
    """Whether a card behaves like a bank debit at a first payment: the money takes days to arrive, or not to."""
    return behaviour.partition(":")[0] == "pends"


def decline_after_pending(behaviour: str) -> Decline | None:
    """Why the money did not arrive; None when it did."""
    code = behaviour.partition(":")[2]
    return declined_with(code) if code else None


def declined_with(code: str) -> Decline:
    """A decline with one of Whop's codes and a sentence made from it."""
    if code == NO_FUNDS.code:
        return NO_FUNDS
    return Decline(code, f"Your card was declined: {code.replace('_', ' ')}.")


def is_behaviour(text: str) -> bool:
    """Whether a text names something that a card can do."""
    kind, colon, code = text.partition(":")
    if kind in ("declines", "declines_later", "pends"):
        return not colon or bool(re.fullmatch(r"[a-z_]{1,60}", code))
    return text in ("succeeds", "challenges", "always_challenges")
