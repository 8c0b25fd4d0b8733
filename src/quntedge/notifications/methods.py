"""Mails about saved means of payment: which one follows from which fact, and what it says of the card."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.methods.events import MethodExpiring
from quntedge.methods.models import PaymentMethod
from quntedge.notifications.causes import Cause
from quntedge.notifications.rules import Kind


def of_method_expiring(fact: MethodExpiring) -> Cause:
    """Once for each card and month of expiry."""
    kind = Kind.METHOD_EXPIRING
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "method_id": fact.method_id,
        "method_kind": fact.kind,
        "method_brand": fact.brand,
        "method_last4": fact.last4,
        "expires": f"{fact.exp_month:02d}/{fact.exp_year:04d}",
    }
    key = f"{kind}:{fact.method_id}:{fact.exp_year:04d}-{fact.exp_month:02d}"
    return Cause(key, fact.user_id, kind, params)


def card_of(params: Mapping[str, Any]) -> str | None:
    """The card as it is written on statements and in wallets, in every language: `Visa •••• 4242`."""
    brand, last4 = params.get("method_brand"), params.get("method_last4")
    shown = [str(brand).replace("_", " ").title() if brand else None, f"•••• {last4}" if last4 else None]
    return " ".join(part for part in shown if part) or None


async def pays_no_more(session: AsyncSession, params: Mapping[str, Any]) -> str | None:
    """Why nobody needs to be told that this card expires, if nobody does."""
    method = await session.get(PaymentMethod, params["method_id"])
    if method is None:
        return None
    if not method.is_default:
        return "the card does not pay the subscription any more"
    if f"{method.exp_month:02d}/{method.exp_year:04d}" != params["expires"]:
        return "the card expires at another time"
    return None
