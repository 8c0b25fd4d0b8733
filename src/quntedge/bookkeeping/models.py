"""What the ledger waits for."""

from datetime import datetime

from sqlalchemy import Index, Integer, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class FeeAwaited(Base):
    """The fee of a payment whose record cannot tell it, for which the gateway is asked.

    `source` is the payment's id, `due_at` when to see to it, or to do so again. Gone once it is posted.
    """

    __tablename__ = "fee_awaited"
    __table_args__ = (Index("ix_fee_awaited_due", "due_at"),)

    source: Mapped[str] = business(Text, primary_key=True)
    due_at: Mapped[datetime] = business()
    noted_at: Mapped[datetime] = business()
    tries: Mapped[int] = business(Integer, server_default="0")
