"""What the ledger waits for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class FeeAwaited(Base):
    """A fee that is not in the ledger yet: of an alert, noted by a trigger (revision 0022) when our records hear of it,
    or of a payment whose record cannot tell it, for which the gateway is asked.

    `source` is the alert's or the payment's id, `due_at` when to see to it, or to do so again. Gone once it is posted.
    """

    __tablename__ = "fee_awaited"
    __table_args__ = (
        CheckConstraint("kind IN ('payment', 'alert')", name="kind"),
        Index("ix_fee_awaited_due", "due_at"),
    )

    source: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    due_at: Mapped[datetime] = business()
    noted_at: Mapped[datetime] = business()
    tries: Mapped[int] = business(Integer, server_default="0")
