"""Declarative base, column helpers that classify every column, and the types the tables share.

Every column says what it holds: `business` (ours to keep), `personal` (about a person; stored sealed or as a blind
index, never in plain text) or `secret` (digests and keys). A test walks the metadata and fails on an unclassified
column, and on a personal column whose type could hold plain text.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import DateTime, LargeBinary, MetaData, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from quntedge.storage.sealed import Sealed

Classification = Literal["business", "personal", "secret"]


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time; naive values are refused, results are aware UTC (sessions run in UTC)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise TypeError("a naive datetime must not reach the database")
        return value


class SealedText(TypeDecorator[Sealed]):
    """Personal text, encrypted under its person's data key. Plain text is refused by type."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if not isinstance(value, Sealed):
            raise TypeError("personal data must be sealed before it reaches the database")
        return value.token

    def process_result_value(self, value: Any, dialect: Dialect) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))


class BlindIndex(TypeDecorator[bytes]):
    """A keyed digest by which personal data can be found without being stored."""

    impl = LargeBinary
    cache_ok = True


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, Sealed: SealedText}  # noqa: RUF012 (SQLAlchemy's own protocol)


def _column(kind: Classification, args: tuple[Any, ...], options: dict[str, Any]) -> MappedColumn[Any]:
    return mapped_column(*args, info={"classification": kind}, **options)


def business(*args: Any, **options: Any) -> MappedColumn[Any]:
    """A column with facts of the business: ids, amounts, states, times."""
    return _column("business", args, options)


def personal(*args: Any, **options: Any) -> MappedColumn[Any]:
    """A column about a person: `Sealed` text or a `BlindIndex`."""
    return _column("personal", args, options)


def secret(*args: Any, **options: Any) -> MappedColumn[Any]:
    """A column with digests of credentials or wrapped keys."""
    return _column("secret", args, options)
