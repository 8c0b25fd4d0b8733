"""Data keys: one per person, wrapped by a key from outside the database. Destroying one erases the person."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Index, Text, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped

from quntedge.kit import crypto
from quntedge.kit.crypto import KeyRing
from quntedge.storage.base import Base, business, secret
from quntedge.storage.keys import WRAPPED_BY, KeyStore, check
from quntedge.storage.sealed import PersonCipher


class DataKey(Base):
    """The wrapped data key of one person."""

    __tablename__ = "data_key"
    __table_args__ = (
        # Which master keys are still needed, and what a rotation has still to move.
        Index("ix_data_key_wrapped_by", text(f"({WRAPPED_BY})"), "person_id", postgresql_where="wrapped IS NOT NULL"),
    )

    person_id: Mapped[str] = business(Text, primary_key=True)
    wrapped: Mapped[bytes | None] = secret()
    created_at: Mapped[datetime] = business()
    destroyed_at: Mapped[datetime | None] = business()


class IndexKey(Base):
    """The wrapped key of one kind of blind index. It never changes: what is found by it could not be found any more."""

    __tablename__ = "index_key"

    purpose: Mapped[str] = business(Text, primary_key=True)
    wrapped: Mapped[bytes] = secret()
    created_at: Mapped[datetime] = business()


DATA_KEYS = KeyStore("data keys of persons", DataKey.__tablename__, "person_id")
INDEX_KEYS = KeyStore("keys of blind indexes", IndexKey.__tablename__, "purpose")

_EMAIL, _MAILBOX, _CARD = "email blind index", "mailbox blind index", "card fingerprint index"


class PersonErased(Exception):
    """The data key of this person was destroyed: nothing of theirs can be read or written any more."""


class Vault:
    """Hands out ciphers for persons, and the keyed blind index for looking people up by e-mail."""

    def __init__(self, ring: KeyRing) -> None:
        """Until `open` has read them, the keys of blind indexes are those that a new installation begins with."""
        self._ring = ring
        self._index_keys = {purpose: ring.derive(purpose) for purpose in (_EMAIL, _MAILBOX, _CARD)}

    async def open(self, connection: AsyncConnection, stores: Iterable[KeyStore], now: datetime) -> None:
        """Checks that the master keys open what is in these tables, then reads the keys of blind indexes.

        Those are derived from the oldest master key; the first process ever writes them down in the given transaction,
        and from then on they are wrapped like any other key: master keys can be retired, and lookups go on finding
        what they found. Raises `ConfigurationError` when a master key that is still needed is missing or another one.
        """
        await check(connection, self._ring, stores)
        fresh = [
            {"purpose": purpose, "wrapped": self._ring.wrap(key, INDEX_KEYS.aad(purpose)), "created_at": now}
            for purpose, key in self._index_keys.items()
        ]
        known = select(IndexKey.purpose, IndexKey.wrapped).where(IndexKey.purpose.in_(self._index_keys))
        rows = (await connection.execute(known)).all()
        if len(rows) < len(fresh):
            await connection.execute(insert(IndexKey).on_conflict_do_nothing(), fresh)
            rows = (await connection.execute(known)).all()
        self._index_keys = {row.purpose: self._ring.unwrap(row.wrapped, INDEX_KEYS.aad(row.purpose)) for row in rows}

    def email_index(self, email: str) -> bytes:
        """The blind index of an e-mail address, equal for addresses that differ only in case or form."""
        return crypto.blind_index(self._index_keys[_EMAIL], email)

    def mailbox_index(self, mailbox: str) -> bytes:
        """The blind index of a mailbox: of what is left of an address without what leads to the same mailbox."""
        return crypto.blind_index(self._index_keys[_MAILBOX], mailbox)

    def card_index(self, fingerprint: str) -> bytes:
        """The blind index of a card's fingerprint at the gateway."""
        return crypto.blind_index(self._index_keys[_CARD], fingerprint)

    async def create(self, session: AsyncSession, person_ids: Iterable[str], now: datetime) -> dict[str, PersonCipher]:
        """Makes data keys for new persons, all with one statement."""
        keys = {person_id: crypto.new_key() for person_id in person_ids}
        if keys:
            connection = await session.connection()
            await connection.execute(
                insert(DataKey),
                [
                    {"person_id": pid, "wrapped": self._ring.wrap(key, DATA_KEYS.aad(pid)), "created_at": now}
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
            row.person_id: PersonCipher(row.person_id, self._ring.unwrap(row.wrapped, DATA_KEYS.aad(row.person_id)))
            for row in rows
        }

    async def cipher(self, session: AsyncSession, person_id: str) -> PersonCipher:
        """The cipher of one person. Raises `PersonErased`."""
        found = await self.ciphers(session, [person_id])
        if person_id not in found:
            raise PersonErased(person_id)
        return found[person_id]
