"""What reconciliation found different between the gateway and us, and what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped

from quntedge.kit.ids import new_id
from quntedge.storage.base import Base, business
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork

RENEWAL_NOT_SEEN = "renewal_not_seen"
"""A period is over, and the gateway has neither renewed the membership nor said why not."""

KINDS = ("membership", "payment", "missing_at_gateway", RENEWAL_NOT_SEEN)
OUTCOMES = ("repaired", "open")


class GatewayDifference(Base):
    """An object that was not with us as it was at the gateway. An object has at most one open difference."""

    __tablename__ = "gateway_difference"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in KINDS)})", name="kind"),
        CheckConstraint(f"outcome IN ({', '.join(repr(outcome) for outcome in OUTCOMES)})", name="outcome"),
        Index("uq_gateway_difference_open", "whop_object_id", unique=True, postgresql_where="outcome = 'open'"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    found_at: Mapped[datetime] = business()
    repaired_at: Mapped[datetime | None] = business()
    kind: Mapped[str] = business(Text)
    whop_object_id: Mapped[str] = business(Text)
    user_id: Mapped[str | None] = business(Text)
    outcome: Mapped[str] = business(Text)
    detail: Mapped[str] = business(Text)


@dataclass(frozen=True, slots=True)
class Difference:
    """One finding. `detail` names columns or an error code, never a value of somebody's."""

    kind: str
    object_id: str
    outcome: str
    detail: str
    user_id: str | None = None


# An open difference stays the one row it is, however often it is found again.
_RECORD = """
    INSERT INTO gateway_difference (id, found_at, repaired_at, kind, whop_object_id, user_id, outcome, detail)
    SELECT * FROM unnest(%(id)b::text[], %(found_at)b::timestamptz[], %(repaired_at)b::timestamptz[], %(kind)b::text[],
                         %(object_id)b::text[], %(user_id)b::text[], %(outcome)b::text[], %(detail)b::text[])
    ON CONFLICT (whop_object_id) WHERE outcome = 'open' DO NOTHING
    RETURNING kind
"""

# That an object could be read and applied does not bring a renewal.
_CLOSE = text(
    """
    UPDATE gateway_difference SET outcome = 'repaired', repaired_at = :now
    WHERE outcome = 'open' AND whop_object_id = ANY(:ids) AND (kind = 'renewal_not_seen') = :renewals
    RETURNING whop_object_id
    """
)

_OPEN = text("SELECT whop_object_id FROM gateway_difference WHERE outcome = 'open' AND whop_object_id = ANY(:ids)")


async def record(unit: UnitOfWork, found: Sequence[Difference]) -> list[str]:
    """Writes findings down; answers the kinds of those that are new."""
    if not found:
        return []
    now = unit.clock.now()
    columns: dict[str, list[Any]] = {
        name: [getattr(difference, name) for difference in found]
        for name in ("kind", "object_id", "user_id", "outcome", "detail")
    }
    columns["id"] = [new_id("dif", now) for _ in found]
    columns["found_at"] = [now for _ in found]
    columns["repaired_at"] = [now if difference.outcome == "repaired" else None for difference in found]
    cursor = await (await unit.driver_connection()).execute(_RECORD, columns)
    return [str(row[0]) for row in await cursor.fetchall()]


async def close(connection: AsyncConnection, object_ids: Iterable[str], now: datetime) -> set[str]:
    """Marks the open differences of these objects as repaired, apart from renewals that were not seen; answers which
    objects had one."""
    values = {"ids": list(object_ids), "now": now, "renewals": False}
    return set((await connection.execute(_CLOSE, values)).scalars())


async def close_renewals(connection: AsyncConnection, membership_ids: Iterable[str], now: datetime) -> None:
    """Marks the renewals of these memberships that were not seen as repaired: they came, or none is expected."""
    await connection.execute(_CLOSE, {"ids": Texts(membership_ids), "now": now, "renewals": True})


async def open_among(connection: AsyncConnection, object_ids: Iterable[str]) -> set[str]:
    """Which of these objects have an open difference."""
    return set((await connection.execute(_OPEN, {"ids": list(object_ids)})).scalars())
