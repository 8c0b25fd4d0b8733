"""Trials, from start to conversion or end, and signs that somebody tries more than once."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, BlindIndex, business, personal


class Trial(Base):
    """The trial of one membership. `remind_at` is when its end has to be announced by us.

    `announced_end` is the end that was announced last; `transaction_id` the payment that made it a subscription.
    """

    __tablename__ = "trial"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'converted', 'ended')", name="state"),
        Index("ix_trial_subscription", "subscription_id"),
        Index("ix_trial_user", "user_id"),
        Index("ix_trial_remind", "remind_at", postgresql_where="remind_at IS NOT NULL"),
    )

    whop_membership_id: Mapped[str] = business(Text, primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    state: Mapped[str] = business(Text)
    started_at: Mapped[datetime] = business()
    trial_end: Mapped[datetime | None] = business()
    remind_at: Mapped[datetime | None] = business()
    announced_end: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()
    transaction_id: Mapped[str | None] = business(Text, unique=True)


class CardFingerprint(Base):
    """A card that somebody has used, as a keyed digest of the gateway's fingerprint: it can be compared, not read."""

    __tablename__ = "card_fingerprint"

    digest: Mapped[bytes] = personal(BlindIndex, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"), primary_key=True)
    first_seen_at: Mapped[datetime] = business()


class TrialSignal(Base):
    """Somebody who begins something with a trial looks like somebody else who has had one. Recorded, nothing more."""

    __tablename__ = "trial_signal"
    __table_args__ = (
        CheckConstraint("kind IN ('same_email_normalised', 'same_card')", name="kind"),
        CheckConstraint("user_id <> other_user_id", name="two_people"),
        Index("uq_trial_signal", "user_id", "kind", "other_user_id", "whop_membership_id", unique=True),
        Index("ix_trial_signal_at", "at"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    kind: Mapped[str] = business(Text)
    other_user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    whop_membership_id: Mapped[str] = business(Text)
    at: Mapped[datetime] = business()
