"""People, their sessions, and the keys of host applications."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, BlindIndex, business, personal, secret
from quntedge.storage.sealed import Sealed


class AppUser(Base):
    """A customer. One that came from Whop without signing up here has no e-mail and no password yet.

    `mailbox_index` is equal for addresses that reach the same mailbox (`kim+2@…`): a hint, never an identity; what one
    customer may have once is counted by it.
    """

    __tablename__ = "app_user"
    __table_args__ = (
        CheckConstraint("(email IS NULL) = (email_index IS NULL)", name="email_indexed"),
        CheckConstraint("password_hash IS NULL OR email IS NOT NULL", name="password_needs_email"),
        Index("ix_app_user_mailbox_missing", "id", postgresql_where="mailbox_index IS NULL AND email IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    email: Mapped[Sealed | None] = personal()
    email_index: Mapped[bytes | None] = personal(BlindIndex, unique=True)
    mailbox_index: Mapped[bytes | None] = personal(BlindIndex, index=True)
    name: Mapped[Sealed | None] = personal()
    password_hash: Mapped[str | None] = secret(Text)
    locale: Mapped[str] = business(Text, server_default="en")
    time_zone: Mapped[str | None] = business(Text)
    whop_user_id: Mapped[str | None] = business(Text, unique=True)
    terms_accepted_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()


class UserSession(Base):
    """A signed-in browser. The cookie holds the token, the row only its digest."""

    __tablename__ = "user_session"

    token_digest: Mapped[bytes] = secret(primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    ip: Mapped[Sealed | None] = personal()
    created_at: Mapped[datetime] = business()
    last_seen_at: Mapped[datetime] = business()
    expires_at: Mapped[datetime] = business(index=True)


class AttemptWindow(Base):
    """How often somebody tried something in this window of time (`number` since 1970) and in the one before.

    Unlogged: it is written at every sign-in, and after a crash of the database everybody merely begins anew.
    """

    __tablename__ = "attempt_window"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 (SQLAlchemy's own protocol)

    rule: Mapped[str] = business(Text, primary_key=True)
    digest: Mapped[bytes] = personal(BlindIndex, primary_key=True)
    number: Mapped[int] = business(BigInteger)
    current: Mapped[int] = business(Integer)
    previous: Mapped[int] = business(Integer)
    ends_at: Mapped[datetime] = business(index=True)


class ApiKey(Base):
    """A key with which a host application's server, or a tool of staff, calls us. Only its digest is kept.

    `holder` is who answers for what is done with it; two keys of one holder are one person. A key without one stands
    for itself.
    """

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_live", "token_digest", postgresql_where="revoked_at IS NULL"),)

    id: Mapped[str] = business(Text, primary_key=True)
    name: Mapped[str] = business(Text)
    hint: Mapped[str] = business(Text)
    token_digest: Mapped[bytes] = secret(unique=True)
    scopes: Mapped[list[str]] = business(ARRAY(Text))
    holder: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    revoked_at: Mapped[datetime | None] = business()
