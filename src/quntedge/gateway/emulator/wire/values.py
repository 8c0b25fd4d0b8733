"""How times and amounts are written on Whop's wire."""

from datetime import UTC, datetime
from typing import Any

from quntedge.kit.money import Money, exponent

JsonObject = dict[str, Any]


def iso(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_or_none(at: datetime | None) -> str | None:
    """As `iso`; null stays null."""
    return None if at is None else iso(at)


def money(amount: Money) -> JsonObject:
    """Whop's Money object: an exact decimal text in major units."""
    decimals = exponent(amount.currency)
    return {
        "amount": amount.to_major_text(),
        "currency": amount.currency,
        "decimals": decimals,
        "display_decimals": decimals,
    }


def money_or_none(amount: Money | None) -> JsonObject | None:
    """As `money`; null stays null."""
    return None if amount is None else money(amount)


def number(amount: Money) -> int | float:
    """Major units as a JSON number, which is what plans and the legacy shapes carry.

    The only floats of the emulator are made here: the shortest text of a float made from an exact decimal of at most
    fifteen digits is that decimal again, so nothing is lost on the wire.
    """
    major = amount.to_major()
    return int(major) if major == int(major) else float(major)


def icons(name: str) -> JsonObject:
    """Addresses of a payment method's pictures. They name no real host."""
    files = {key: f"https://assets.invalid/{name}.{key}" for key in ("png_1x", "png_2x", "png_4x", "svg")}
    return {"card": {"dark": files, "light": files}, "square": {"dark": files, "light": files}}
