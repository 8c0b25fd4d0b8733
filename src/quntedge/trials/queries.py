"""What others ask about trials."""

from collections.abc import Collection

from sqlalchemy import select

from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.trials.models import Trial

_CONVERTED_BY = select(Trial.transaction_id).where(among(Trial.transaction_id))


async def converted_by(unit: UnitOfWork, transaction_ids: Collection[str]) -> set[str]:
    """Which of these payments made a subscription of a trial."""
    if not transaction_ids:
        return set()
    return {row.transaction_id for row in await unit.fetch(_CONVERTED_BY, {"values": Texts(transaction_ids)})}
