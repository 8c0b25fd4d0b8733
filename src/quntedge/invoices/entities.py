"""The seller as a row that documents refer to: one for each state of the settings."""

from dataclasses import asdict

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.invoices.models import LegalEntity
from quntedge.invoices.parties import Seller
from quntedge.storage.unit_of_work import UnitOfWork


class LegalEntities:
    """Knows who sells now, and who sold then."""

    def __init__(self, seller: Seller) -> None:
        self.seller = seller
        self._stored = False

    async def ensure(self, unit: UnitOfWork) -> str:
        """The id of the seller's row, which exists when this returns: at most two statements in a process's life."""
        if not self._stored:
            connection = await unit.connection()
            statement = (
                insert(LegalEntity)
                .values(id=self.seller.id, created_at=unit.clock.now(), **asdict(self.seller))
                .on_conflict_do_nothing()
                .returning(LegalEntity.id)
            )
            # Our own insert may still be rolled back; that there was a row already stays true.
            self._stored = (await connection.execute(statement)).scalar_one_or_none() is None
        return self.seller.id


async def seller_at(session: AsyncSession, entity_id: str) -> Seller:
    """The seller as they were when a document was made."""
    row = await session.get_one(LegalEntity, entity_id)
    return Seller(
        code=row.code,
        name=row.name,
        line1=row.line1,
        line2=row.line2,
        postcode=row.postcode,
        city=row.city,
        country=row.country,
        vat_id=row.vat_id,
        registration=row.registration,
        email=row.email,
        note=row.note,
        time_zone=row.time_zone,
    )
