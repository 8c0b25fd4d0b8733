"""The seller as a row that documents refer to: one for each state of the settings."""

from dataclasses import asdict

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.invoices.logo import NO_LOGO, Logo, logo_of
from quntedge.invoices.models import LegalEntity, SellerLogo
from quntedge.invoices.parties import Seller
from quntedge.storage.unit_of_work import UnitOfWork


class LegalEntities:
    """Knows who sells now, and who sold then."""

    def __init__(self, seller: Seller, logo: Logo | None = None) -> None:
        """`logo` is the picture that the seller's `logo_id` names."""
        self.seller = seller
        self._logo = logo
        self._stored = False

    async def ensure(self, unit: UnitOfWork) -> str:
        """The id of the seller's row, which exists when this returns: a few statements in a process's life."""
        if not self._stored:
            connection = await unit.connection()
            if self._logo is not None:
                picture = {"id": self._logo.id, "format": self._logo.format, "content": self._logo.content}
                await connection.execute(
                    insert(SellerLogo).values(created_at=unit.clock.now(), **picture).on_conflict_do_nothing()
                )
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
        logo_id=row.logo_id,
    )


async def logo_at(session: AsyncSession, seller: Seller) -> Logo | None:
    """The picture on this seller's documents; None is the product's mark."""
    if seller.logo_id is None:
        return None
    row = await session.get_one(SellerLogo, seller.logo_id)
    return NO_LOGO if row.format == NO_LOGO.format else logo_of(row.content)
