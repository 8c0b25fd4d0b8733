"""What keeps access from somebody whose subscription would give it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class AccessHold(Base):
    """A subscription opens nothing while a hold on it is not released. One for each `cause`, an id of ours."""

    __tablename__ = "access_hold"
    __table_args__ = (
        CheckConstraint("reason IN ('payment_disputed')", name="reason"),
        Index("ix_access_hold_running", "subscription_id", postgresql_where="released_at IS NULL"),
    )

    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"), primary_key=True)
    cause: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    reason: Mapped[str] = business(Text)
    held_at: Mapped[datetime] = business()
    released_at: Mapped[datetime | None] = business()
