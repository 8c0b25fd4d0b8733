"""Sealed values: what personal data looks like outside the moment it is used."""

from dataclasses import dataclass

from quntedge.kit import crypto


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value as it stands in a column. Opened only with its person's cipher, table, column and row."""

    token: bytes

    def __repr__(self) -> str:
        return f"Sealed({len(self.token)} bytes)"


class PersonCipher:
    """Seals and opens the personal data of one person. The place (table, column, row) is authenticated with it."""

    __slots__ = ("_key", "person_id")

    def __init__(self, person_id: str, key: bytes) -> None:
        self.person_id = person_id
        self._key = key

    def seal(self, table: str, column: str, row_id: str, text: str) -> Sealed:
        """Encrypts `text` for exactly this place."""
        return Sealed(crypto.seal(self._key, text.encode(), _place(table, column, row_id)))

    def open(self, table: str, column: str, row_id: str, sealed: Sealed) -> str:
        """Decrypts; raises `InvalidSeal` when the value was moved from another place or altered."""
        return crypto.unseal(self._key, sealed.token, _place(table, column, row_id)).decode()


def _place(table: str, column: str, row_id: str) -> bytes:
    return f"{table}|{column}|{row_id}".encode()
