"""Promotions, codes, reservations and redemptions."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _promotion()
    _code()
    _customer()
    _reservation()
    _redemption()
    _checkout()


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str, *, nullable: bool = True, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable, server_default=default)


def _minor(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=op.f(f"uq_{table}_{column}"))


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _promotion() -> None:
    name = "promotion"
    op.create_table(
        name,
        _text("id"),
        _text("code"),
        _text("name"),
        _text("kind"),
        _number("percent_bp"),
        _number("periods"),
        _flag("every_plan"),
        _flag("first_purchase_only"),
        _number("max_uses"),
        _number("max_per_customer"),
        _number("uses", nullable=False, default="0"),
        _time("starts_at"),
        _time("ends_at"),
        _flag("at_whop"),
        _text("origin"),
        _number("version", nullable=False, default="1"),
        _text("created_by"),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        _time("archived_at"),
        _check(name, "kind", "kind IN ('percentage', 'amount')"),
        _check(name, "percentage_has_share", "(kind = 'percentage') = (percent_bp IS NOT NULL)"),
        _check(name, "percent_bp", "percent_bp BETWEEN 1 AND 10000"),
        _check(name, "periods", "periods >= 1"),
        _check(name, "limits", "max_uses >= 1 AND max_per_customer >= 1"),
        _check(name, "uses", "uses >= 0 AND uses <= max_uses"),
        _check(name, "window", "starts_at < ends_at"),
        _check(name, "origin", "origin IN ('catalog', 'staff')"),
        _check(
            name, "at_whop", "NOT at_whop OR max_uses IS NULL AND max_per_customer IS NULL AND NOT first_purchase_only"
        ),
        _key(name, "id"),
        _unique(name, "code"),
    )
    op.create_table(
        "promotion_amount",
        _text("promotion_id"),
        _text("currency"),
        _minor("amount_minor"),
        _check("promotion_amount", "amount", "amount_minor > 0"),
        _foreign("promotion_amount", "promotion_id", "promotion"),
        _key("promotion_amount", "promotion_id", "currency"),
    )
    op.create_table(
        "promotion_plan",
        _text("promotion_id"),
        _text("plan_id"),
        _foreign("promotion_plan", "promotion_id", "promotion"),
        _foreign("promotion_plan", "plan_id", "plan"),
        _key("promotion_plan", "promotion_id", "plan_id"),
    )


def _code() -> None:
    name = "promotion_code"
    op.create_table(
        name,
        _text("id"),
        _text("promotion_id"),
        _text("code"),
        _number("max_uses"),
        _number("uses", nullable=False, default="0"),
        _text("batch", nullable=True),
        _text("whop_promo_id", nullable=True),
        _text("whop_terms", nullable=True),
        _text("created_by"),
        _time("created_at", nullable=False),
        _time("archived_at"),
        _check(name, "limit", "max_uses >= 1"),
        _check(name, "uses", "uses >= 0 AND uses <= max_uses"),
        _check(name, "upper", "code = upper(code)"),
        _foreign(name, "promotion_id", "promotion"),
        _key(name, "id"),
        _unique(name, "code"),
        _unique(name, "whop_promo_id"),
    )
    op.create_index("ix_promotion_code_promotion", name, ["promotion_id", "created_at", "id"])
    op.create_index("ix_promotion_code_batch", name, ["batch"], postgresql_where="batch IS NOT NULL")


def _customer() -> None:
    name = "promotion_customer"
    op.create_table(
        name,
        _text("promotion_id"),
        _text("user_id"),
        _number("uses", nullable=False),
        _number("max_uses"),
        _check(name, "uses", "uses >= 0 AND uses <= max_uses"),
        _foreign(name, "promotion_id", "promotion"),
        _foreign(name, "user_id", "app_user"),
        _key(name, "promotion_id", "user_id"),
    )


def _reservation() -> None:
    name = "promotion_reservation"
    op.create_table(
        name,
        _text("id"),
        _text("promotion_id"),
        _text("code_id"),
        _text("user_id"),
        _text("checkout_id"),
        _text("plan_id"),
        _number("plan_version", nullable=False),
        _text("whop_plan_id"),
        _number("promotion_version", nullable=False),
        _number("percent_bp"),
        _minor("amount_minor", nullable=True),
        _number("periods"),
        _text("currency"),
        _minor("price_minor"),
        _minor("discount_minor"),
        _text("whop_code"),
        _text("whop_promo_id", nullable=True),
        _text("state"),
        _text("outcome", nullable=True),
        _time("expires_at", nullable=False),
        _time("created_at", nullable=False),
        _time("ended_at"),
        _check(name, "state", "state IN ('held', 'releasing', 'used', 'released')"),
        _check(name, "discount", "discount_minor > 0 AND discount_minor <= price_minor"),
        _check(name, "share_or_amount", "(percent_bp IS NULL) <> (amount_minor IS NULL)"),
        _check(name, "periods", "periods >= 1"),
        _foreign(name, "promotion_id", "promotion"),
        _foreign(name, "code_id", "promotion_code"),
        _foreign(name, "user_id", "app_user"),
        _foreign(name, "plan_id", "plan"),
        _key(name, "id"),
        _unique(name, "checkout_id"),
        _unique(name, "whop_code"),
        _unique(name, "whop_promo_id"),
    )
    op.create_index("ix_promotion_reservation_promotion", name, ["promotion_id", "state"])
    op.create_index("ix_promotion_reservation_code", name, ["code_id"])
    op.create_index("ix_promotion_reservation_user", name, ["user_id", "created_at"])


def _redemption() -> None:
    name = "promotion_redemption"
    op.create_table(
        name,
        _text("transaction_id"),
        _text("user_id"),
        _text("promotion_id", nullable=True),
        _text("code_id", nullable=True),
        _text("reservation_id", nullable=True),
        _text("whop_promo_id", nullable=True),
        _text("whop_membership_id", nullable=True),
        _text("currency"),
        _minor("discount_minor", nullable=True),
        _minor("total_minor", nullable=True),
        _minor("agreed_minor", nullable=True),
        _flag("opening"),
        _flag("differs"),
        _time("at", nullable=False),
        _foreign(name, "transaction_id", "payment_transaction"),
        _foreign(name, "user_id", "app_user"),
        _foreign(name, "promotion_id", "promotion"),
        _foreign(name, "code_id", "promotion_code"),
        _foreign(name, "reservation_id", "promotion_reservation"),
        _key(name, "transaction_id"),
    )
    op.create_index("ix_promotion_redemption_promotion", name, ["promotion_id", "at"])
    op.create_index("ix_promotion_redemption_membership", name, ["whop_membership_id"])
    op.create_index("ix_promotion_redemption_reservation", name, ["reservation_id"])
    op.create_index("ix_promotion_redemption_differs", name, ["at"], postgresql_where="differs")


def _checkout() -> None:
    """What a checkout takes off; the intent itself says it, so that following a purchase needs no other table."""
    op.add_column("checkout_intent", sa.Column("discount_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("checkout_intent", sa.Column("reservation_id", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_checkout_intent_reservation_id"),
        "checkout_intent",
        "promotion_reservation",
        ["reservation_id"],
        ["id"],
    )
    op.create_check_constraint(
        op.f("ck_checkout_intent_discount"),
        "checkout_intent",
        "discount_minor >= 0 AND discount_minor <= price_minor AND (discount_minor > 0) = (reservation_id IS NOT NULL)",
    )
