"""Promotions, their codes, who holds a use of one, and what was really taken off."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped

from quntedge.kit.money import Money
from quntedge.pricing.rules import Discount
from quntedge.storage.base import Base, business

HELD, RELEASING, USED, RELEASED = "held", "releasing", "used", "released"


class Promotion(Base):
    """One promotion: what it takes off, for how many charges, of which plans, for whom and until when.

    `periods` is the number of charges it lowers; None: all of them. `uses` counts what is held and what is used, so
    that the limit is a constraint. `version` counts the changes of its terms; what somebody was promised is written in
    their reservation. `at_whop`: each of its codes is a promo code at the gateway too, for those who buy there without
    our pages; such a promotion has no limits, because only we could keep them.
    """

    __tablename__ = "promotion"
    __table_args__ = (
        CheckConstraint("kind IN ('percentage', 'amount')", name="kind"),
        CheckConstraint("(kind = 'percentage') = (percent_bp IS NOT NULL)", name="percentage_has_share"),
        CheckConstraint("percent_bp BETWEEN 1 AND 10000", name="percent_bp"),
        CheckConstraint("periods >= 1", name="periods"),
        CheckConstraint("max_uses >= 1 AND max_per_customer >= 1", name="limits"),
        CheckConstraint("uses >= 0 AND uses <= max_uses", name="uses"),
        CheckConstraint("starts_at < ends_at", name="window"),
        CheckConstraint("origin IN ('catalog', 'staff')", name="origin"),
        CheckConstraint(
            "NOT at_whop OR max_uses IS NULL AND max_per_customer IS NULL AND NOT first_purchase_only", name="at_whop"
        ),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    code: Mapped[str] = business(Text, unique=True)
    name: Mapped[str] = business(Text)
    kind: Mapped[str] = business(Text)
    percent_bp: Mapped[int | None] = business(Integer)
    periods: Mapped[int | None] = business(Integer)
    every_plan: Mapped[bool] = business(Boolean)
    first_purchase_only: Mapped[bool] = business(Boolean)
    max_uses: Mapped[int | None] = business(Integer)
    max_per_customer: Mapped[int | None] = business(Integer)
    uses: Mapped[int] = business(Integer, server_default="0")
    starts_at: Mapped[datetime | None] = business()
    ends_at: Mapped[datetime | None] = business()
    at_whop: Mapped[bool] = business(Boolean)
    origin: Mapped[str] = business(Text)
    version: Mapped[int] = business(Integer, server_default="1")
    created_by: Mapped[str] = business(Text)
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()
    archived_at: Mapped[datetime | None] = business()


class PromotionAmount(Base):
    """What a promotion of a fixed amount takes off in one currency. Without a row it is not valid in that currency."""

    __tablename__ = "promotion_amount"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount"),)

    promotion_id: Mapped[str] = business(Text, ForeignKey("promotion.id"), primary_key=True)
    currency: Mapped[str] = business(Text, primary_key=True)
    amount_minor: Mapped[int] = business(BigInteger)


class PromotionPlan(Base):
    """A plan that a promotion is for, unless it is for every plan."""

    __tablename__ = "promotion_plan"

    promotion_id: Mapped[str] = business(Text, ForeignKey("promotion.id"), primary_key=True)
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"), primary_key=True)


class PromotionCode(Base):
    """What a customer types. `code` is in its normal form (`rules.normal_code`), so that its uniqueness does not depend
    on case. `whop_terms` says with which terms the code stands at the gateway under `whop_promo_id`."""

    __tablename__ = "promotion_code"
    __table_args__ = (
        CheckConstraint("max_uses >= 1", name="limit"),
        CheckConstraint("uses >= 0 AND uses <= max_uses", name="uses"),
        CheckConstraint("code = upper(code)", name="upper"),
        Index("ix_promotion_code_promotion", "promotion_id", "created_at", "id"),
        Index("ix_promotion_code_batch", "batch", postgresql_where="batch IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    promotion_id: Mapped[str] = business(Text, ForeignKey("promotion.id"))
    code: Mapped[str] = business(Text, unique=True)
    max_uses: Mapped[int | None] = business(Integer)
    uses: Mapped[int] = business(Integer, server_default="0")
    batch: Mapped[str | None] = business(Text)
    whop_promo_id: Mapped[str | None] = business(Text, unique=True)
    whop_terms: Mapped[str | None] = business(Text)
    created_by: Mapped[str] = business(Text)
    created_at: Mapped[datetime] = business()
    archived_at: Mapped[datetime | None] = business()


class PromotionCustomer(Base):
    """How often a customer holds or has used a promotion. The limit stands beside the count, so that it is a
    constraint."""

    __tablename__ = "promotion_customer"
    __table_args__ = (CheckConstraint("uses >= 0 AND uses <= max_uses", name="uses"),)

    promotion_id: Mapped[str] = business(Text, ForeignKey("promotion.id"), primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"), primary_key=True)
    uses: Mapped[int] = business(Integer)
    max_uses: Mapped[int | None] = business(Integer)


class PromotionReservation(Base):
    """One use of a promotion, held for one checkout with the terms that were shown.

    `whop_code` is a promo code that exists for this checkout alone: for its plan, of one use, worth `discount_minor`
    off each of `periods` charges; `percent_bp` or `amount_minor` is how the promotion says it. `state`: held, releasing
    (the checkout ended without a payment; the gateway is being asked), used, released. `outcome` says what was unusual
    about it (`paid_without_code`, `late`, `over_limit`).
    """

    __tablename__ = "promotion_reservation"
    __table_args__ = (
        CheckConstraint("state IN ('held', 'releasing', 'used', 'released')", name="state"),
        CheckConstraint("discount_minor > 0 AND discount_minor <= price_minor", name="discount"),
        CheckConstraint("(percent_bp IS NULL) <> (amount_minor IS NULL)", name="share_or_amount"),
        CheckConstraint("periods >= 1", name="periods"),
        Index("ix_promotion_reservation_promotion", "promotion_id", "state"),
        Index("ix_promotion_reservation_code", "code_id"),
        Index("ix_promotion_reservation_user", "user_id", "created_at"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    promotion_id: Mapped[str] = business(Text, ForeignKey("promotion.id"))
    code_id: Mapped[str] = business(Text, ForeignKey("promotion_code.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    checkout_id: Mapped[str] = business(Text, unique=True)
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    plan_version: Mapped[int] = business(Integer)
    whop_plan_id: Mapped[str] = business(Text)
    promotion_version: Mapped[int] = business(Integer)
    percent_bp: Mapped[int | None] = business(Integer)
    amount_minor: Mapped[int | None] = business(BigInteger)
    periods: Mapped[int | None] = business(Integer)
    currency: Mapped[str] = business(Text)
    price_minor: Mapped[int] = business(BigInteger)
    discount_minor: Mapped[int] = business(BigInteger)
    whop_code: Mapped[str] = business(Text, unique=True)
    whop_promo_id: Mapped[str | None] = business(Text, unique=True)
    state: Mapped[str] = business(Text)
    outcome: Mapped[str | None] = business(Text)
    expires_at: Mapped[datetime] = business()
    created_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()

    def promised(self, name: str) -> Discount:
        """What was promised, as the price calculation knows it; `name` is the code."""
        amount = None if self.amount_minor is None else Money(self.amount_minor, self.currency)
        return Discount(name, self.percent_bp, amount, self.periods)


class PromotionRedemption(Base):
    """A payment that was made with a promo code, ours or one that only the gateway knows (`promotion_id` None).

    `opening` is the first payment of a purchase: that is what counts as a use. `agreed_minor` is what was shown to be
    taken off this payment; where it is not what was taken off, `differs` is true. Amounts in minor units.
    """

    __tablename__ = "promotion_redemption"
    __table_args__ = (
        Index("ix_promotion_redemption_promotion", "promotion_id", "at"),
        Index("ix_promotion_redemption_membership", "whop_membership_id"),
        Index("ix_promotion_redemption_reservation", "reservation_id"),
        Index("ix_promotion_redemption_differs", "at", postgresql_where="differs"),
    )

    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"), primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    promotion_id: Mapped[str | None] = business(Text, ForeignKey("promotion.id"))
    code_id: Mapped[str | None] = business(Text, ForeignKey("promotion_code.id"))
    reservation_id: Mapped[str | None] = business(Text, ForeignKey("promotion_reservation.id"))
    whop_promo_id: Mapped[str | None] = business(Text)
    whop_membership_id: Mapped[str | None] = business(Text)
    currency: Mapped[str] = business(Text)
    discount_minor: Mapped[int | None] = business(BigInteger)
    total_minor: Mapped[int | None] = business(BigInteger)
    agreed_minor: Mapped[int | None] = business(BigInteger)
    opening: Mapped[bool] = business(Boolean)
    differs: Mapped[bool] = business(Boolean)
    at: Mapped[datetime] = business()
