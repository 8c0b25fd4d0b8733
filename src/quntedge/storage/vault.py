"""Data keys: one per person, wrapped by a key from outside the database. Destroying one erases the person."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from quntedge.kit import crypto
from quntedge.kit.crypto import KeyRing
from quntedge.storage.base import Base, business, secret
from quntedge.storage.sealed import PersonCipher


class DataKey(Base):
    """The wrapped data key of one person."""

    __tablename__ = "data_key"

    person_id: Mapped[str] = business(Text, primary_key=True)
    wrapped: Mapped[bytes | None] = secret()
    created_at: Mapped[datetime] = business()
    destroyed_at: Mapped[datetime | None] = business()


class PersonErased(Exception):
    """The data key of this person was destroyed: nothing of theirs can be read or written any more."""


class Vault:
    """Hands out ciphers for persons, and the keyed blind index for looking people up by e-mail."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._index_key = ring.derive("email blind index")
        self._mailbox_key = ring.derive("mailbox blind index")
        self._card_key = ring.derive("card fingerprint index")

    def email_index(self, email: str) -> bytes:
        """The blind index of an e-mail address, equal for addresses that differ only in case or form."""
        return crypto.blind_index(self._index_key, email)

    def mailbox_index(self, mailbox: str) -> bytes:
        """The blind index of a mailbox: of what is left of an address without what leads to the same mailbox."""
        return crypto.blind_index(self._mailbox_key, mailbox)

    def card_index(self, fingerprint: str) -> bytes:
        """The blind index of a card's fingerprint at the gateway."""
        return crypto.blind_index(self._card_key, fingerprint)

    async def create(self, session: AsyncSession, person_ids: Iterable[str], now: datetime) -> dict[str, PersonCipher]:
        """Makes data keys for new persons, all with one statement."""
        keys = {person_id: crypto.new_key() for person_id in person_ids}
        if keys:
            connection = await session.connection()
            await connection.execute(
                insert(DataKey),
                [
                    {"person_id": pid, "wrapped": self._ring.wrap(key, _aad(pid)), "created_at": now}
                    for pid, key in keys.items()
                ],
            )
        return {pid: PersonCipher(pid, key) for pid, key in keys.items()}

    async def ciphers(self, session: AsyncSession, person_ids: Iterable[str]) -> dict[str, PersonCipher]:
        """The ciphers of those persons who still have a key; erased ones are missing from the answer."""
        wanted = sorted(set(person_ids))
        if not wanted:
            return {}
        rows = await session.execute(
            select(DataKey.person_id, DataKey.wrapped).where(
                DataKey.person_id.in_(wanted), DataKey.wrapped.is_not(None)
            )
        )
        return {
            row.person_id: PersonCipher(row.person_id, self._ring.unwrap(row.wrapped, _aad(row.person_id)))
            for row in rows
        }

    async def cipher(self, session: AsyncSession, person_id: str) -> PersonCipher:
        """The cipher of one person. Raises `PersonErased`."""
        found = await self.ciphers(session, [person_id])
        if person_id not in found:
            raise PersonErased(person_id)
        return found[person_id]


def _aad(person_id: str) -> bytes:
    return f"data_key|wrapped|{person_id}".encode()
