"""What the confirmation of a withdrawal repeats of the declaration, so that the customer can keep it."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.cancellations.models import RefundRequest, Withdrawal
from quntedge.kit.money import Money
from quntedge.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Declaration:
    """Who declared what and when (by the customer's own clock), and what is given back for it."""

    contract: str | None = None
    name: str | None = None
    received_at: datetime | None = None
    refund: Money | None = None


async def declaration(session: AsyncSession, vault: Vault, withdrawal_id: str | None) -> Declaration:
    """The declaration with this id; an empty one for none. Nothing is left of the name of somebody erased."""
    row = None if withdrawal_id is None else await session.get(Withdrawal, withdrawal_id)
    if row is None:
        return Declaration()
    cipher = (await vault.ciphers(session, [row.user_id])).get(row.user_id)
    owed = (
        await session.execute(
            select(RefundRequest.currency, func.sum(RefundRequest.amount_minor).label("amount_minor"))
            .where(RefundRequest.withdrawal_id == row.id)
            .group_by(RefundRequest.currency)
            .limit(1)
        )
    ).one_or_none()
    return Declaration(
        contract=row.subscription_id,
        name=cipher.open("withdrawal", "name", row.id, row.name) if cipher is not None else None,
        received_at=row.received_at.astimezone(ZoneInfo(row.time_zone)),
        refund=Money(int(owed.amount_minor), owed.currency) if owed is not None else None,
    )
