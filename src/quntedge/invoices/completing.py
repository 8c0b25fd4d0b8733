"""Invoices numbered before invoices had lines: they get what newer ones get with their number.

The amounts are those of the invoice; seller and buyer are as they are now, because nothing older is known.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Update, bindparam, select, update

from quntedge.invoices.drafting import Drafter
from quntedge.invoices.entities import LegalEntities
from quntedge.invoices.models import Invoice
from quntedge.invoices.writing import line_rows, write_lines
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

BATCH = 200

_INCOMPLETE = select(Invoice.__table__).where(Invoice.number.is_not(None), Invoice.legal_entity_id.is_(None))
_THESE = _INCOMPLETE.where(among(Invoice.id)).order_by(Invoice.id).with_for_update(key_share=True)
_SOME = _INCOMPLETE.order_by(Invoice.id).limit(BATCH).with_for_update(key_share=True, skip_locked=True)
_SET_PARTIES: Update = (
    update(Invoice)
    .where(Invoice.id == bindparam("invoice"))
    .values(legal_entity_id=bindparam("entity"), billing_profile_id=bindparam("profile"), locale=bindparam("language"))
)


class Completer:
    """Writes what older invoices lack."""

    def __init__(self, drafter: Drafter, entities: LegalEntities) -> None:
        self._drafter = drafter
        self._entities = entities

    async def complete(self, unit: UnitOfWork, invoice_ids: Sequence[str]) -> int:
        """Completes those of these invoices that need it; how many."""
        return await self._complete(unit, _THESE, {"values": list(invoice_ids)}) if invoice_ids else 0

    async def complete_some(self, unit: UnitOfWork) -> int:
        """Completes some of all those that need it; how many."""
        return await self._complete(unit, _SOME, {})

    async def _complete(self, unit: UnitOfWork, which: Select[Any], parameters: dict[str, Any]) -> int:
        connection = await unit.connection()
        rows = [dict(row) for row in (await connection.execute(which, parameters)).mappings()]
        if not rows:
            return 0
        drafts = await self._drafter.draft(unit, rows)
        entity_id = await self._entities.ensure(unit)
        await connection.execute(
            _SET_PARTIES,
            [
                {
                    "invoice": invoice_id,
                    "entity": entity_id,
                    "profile": draft.profile_id,
                    "language": draft.language,
                }
                for invoice_id, draft in drafts.items()
            ],
        )
        lines = [line for invoice_id, draft in drafts.items() for line in line_rows(invoice_id, draft.lines)]
        await write_lines(await unit.driver_connection(), lines)
        return len(rows)
