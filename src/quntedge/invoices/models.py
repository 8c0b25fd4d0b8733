"""Our invoices: made from payments; explicit Whop invoices are merged in by id. Who they are from and to, and what
corrects them.

Triggers see to it that a numbered invoice keeps what it says, and that the lines of a document make up its total.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business, personal
from quntedge.storage.sealed import Sealed


class Invoice(Base):
    """What a customer owes or paid for one period. The number is assigned once, when paid, and never reused.

    With its number it gets its lines, the language it is written in, and the seller and the buyer as they are then.
    `credited_minor` is what credit notes have taken off it.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint(
            "status IN ('draft', 'open', 'paid', 'payment_failed', 'past_due', 'partially_refunded', 'refunded',"
            " 'void', 'uncollectible')",
            name="status",
        ),
        CheckConstraint("whop_payment_id IS NOT NULL OR whop_invoice_id IS NOT NULL", name="has_origin"),
        CheckConstraint(
            "number IS NOT NULL OR status NOT IN ('paid', 'partially_refunded', 'refunded')", name="paid_is_numbered"
        ),
        CheckConstraint(
            "number IS NULL OR status IN ('paid', 'partially_refunded', 'refunded')", name="numbered_is_paid"
        ),
        CheckConstraint("credited_minor BETWEEN 0 AND greatest(total_minor, 0)", name="credited"),
        CheckConstraint(
            "(legal_entity_id IS NULL) = (billing_profile_id IS NULL) AND (legal_entity_id IS NULL) = (locale IS NULL)",
            name="has_both_parties",
        ),
        CheckConstraint("dispute_status IS NULL OR dispute_status IN ('open', 'won', 'lost')", name="dispute_status"),
        Index("ix_invoice_user", "user_id", "issued_at", "id"),
        Index("ix_invoice_transaction", "transaction_id"),
        # For voiding what is unpaid when a subscription ends: few rows, however many invoices were paid.
        Index("ix_invoice_unpaid", "subscription_id", postgresql_where="number IS NULL"),
        # Those numbered before invoices had lines: none, soon after the upgrade.
        Index("ix_invoice_incomplete", "id", postgresql_where="number IS NOT NULL AND legal_entity_id IS NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    number: Mapped[str | None] = business(Text, unique=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str | None] = business(Text, ForeignKey("subscription.id"))
    transaction_id: Mapped[str | None] = business(Text, ForeignKey("payment_transaction.id"))
    plan_id: Mapped[str | None] = business(Text, ForeignKey("plan.id"))
    whop_payment_id: Mapped[str | None] = business(Text, unique=True)
    whop_invoice_id: Mapped[str | None] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    currency: Mapped[str] = business(Text)
    subtotal_minor: Mapped[int | None] = business(BigInteger)
    tax_minor: Mapped[int | None] = business(BigInteger)
    total_minor: Mapped[int] = business(BigInteger)
    refunded_minor: Mapped[int] = business(BigInteger, server_default="0")
    credited_minor: Mapped[int] = business(BigInteger, server_default="0")
    dispute_status: Mapped[str | None] = business(Text)
    legal_entity_id: Mapped[str | None] = business(Text, ForeignKey("legal_entity.id"))
    billing_profile_id: Mapped[str | None] = business(Text, ForeignKey("billing_profile.id"))
    locale: Mapped[str | None] = business(Text)
    attempts_failed: Mapped[int] = business(SmallInteger, server_default="0")
    due_at: Mapped[datetime | None] = business()
    issued_at: Mapped[datetime] = business()
    paid_at: Mapped[datetime | None] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class InvoiceCounter(Base):
    """The last number given in a series; the row's lock keeps the series free of gaps and doubles."""

    __tablename__ = "invoice_counter"

    series: Mapped[str] = business(Text, primary_key=True)
    last_number: Mapped[int] = business(Integer)


LINE_KINDS = ("plan", "proration", "discount", "tax", "adjustment")
_KINDS = f"kind IN ({', '.join(repr(kind) for kind in LINE_KINDS)})"


class InvoiceLine(Base):
    """One line of a numbered invoice. All lines of an invoice are written at once and make up its total exactly.

    Amounts are without tax; the tax has a line of its own, with its rate in hundredths of a percent.
    """

    __tablename__ = "invoice_line"
    __table_args__ = (
        CheckConstraint(_KINDS, name="kind"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("quantity = 1 AND amount_minor = unit_minor", name="amount"),
        CheckConstraint("(kind = 'tax') = (tax_basis_points IS NOT NULL)", name="rate_of_tax"),
        CheckConstraint("period_start IS NULL OR period_end IS NULL OR period_start <= period_end", name="period"),
    )

    invoice_id: Mapped[str] = business(Text, ForeignKey("invoice.id"), primary_key=True)
    position: Mapped[int] = business(SmallInteger, primary_key=True)
    kind: Mapped[str] = business(Text)
    label: Mapped[str] = business(Text)
    plan_id: Mapped[str | None] = business(Text)
    period_start: Mapped[datetime | None] = business()
    period_end: Mapped[datetime | None] = business()
    quantity: Mapped[int] = business(SmallInteger, server_default="1")
    unit_minor: Mapped[int] = business(BigInteger)
    amount_minor: Mapped[int] = business(BigInteger)
    tax_basis_points: Mapped[int | None] = business(Integer)


class InvoiceMail(Base):
    """The mail that an invoice goes out with. Whichever mail comes first takes it, for good, so that a customer gets
    it once. Renewals have one mail each and need none of this."""

    __tablename__ = "invoice_mail"

    invoice_id: Mapped[str] = business(Text, ForeignKey("invoice.id"), primary_key=True)
    notification_id: Mapped[str] = business(Text)
    taken_at: Mapped[datetime] = business()


class SellerLogo(Base):
    """A picture on documents, or (`none`) that there is to be none. The id follows from the content; never changed,
    never deleted."""

    __tablename__ = "seller_logo"
    __table_args__ = (
        CheckConstraint("format IN ('svg', 'png', 'none')", name="format"),
        CheckConstraint("length(content) <= 262144 AND (format = 'none') = (length(content) = 0)", name="size"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    format: Mapped[str] = business(Text)
    content: Mapped[bytes] = business(LargeBinary)
    created_at: Mapped[datetime] = business()


class LegalEntity(Base):
    """Who sells, as it was at some time: a row for each state of the settings, never changed.

    The id follows from what the row says. `code` names the entity through all of its states and is part of the numbers
    of its documents.
    """

    __tablename__ = "legal_entity"

    id: Mapped[str] = business(Text, primary_key=True)
    code: Mapped[str] = business(Text)
    name: Mapped[str] = business(Text)
    line1: Mapped[str | None] = business(Text)
    line2: Mapped[str | None] = business(Text)
    postcode: Mapped[str | None] = business(Text)
    city: Mapped[str | None] = business(Text)
    country: Mapped[str | None] = business(Text)
    vat_id: Mapped[str | None] = business(Text)
    registration: Mapped[str | None] = business(Text)
    email: Mapped[str | None] = business(Text)
    note: Mapped[str | None] = business(Text)
    time_zone: Mapped[str] = business(Text)
    created_at: Mapped[datetime] = business()
    logo_id: Mapped[str | None] = business(Text, ForeignKey("seller_logo.id"))


class BillingProfile(Base):
    """What a customer wants to read on invoices: a row for each version, never changed but for `current`.

    Sealed with a key of the profile's own (`profiles.key_of`), not with the person's: erasing somebody must not take
    away what the law wants kept. `automatic`: made from the account, because nothing was entered when an invoice needed
    a buyer.
    """

    __tablename__ = "billing_profile"
    __table_args__ = (
        UniqueConstraint("user_id", "version"),
        CheckConstraint("version > 0", name="version"),
        Index("uq_billing_profile_current", "user_id", unique=True, postgresql_where="current"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    version: Mapped[int] = business(Integer)
    current: Mapped[bool] = business(Boolean)
    automatic: Mapped[bool] = business(Boolean)
    company: Mapped[Sealed | None] = personal()
    name: Mapped[Sealed | None] = personal()
    email: Mapped[Sealed | None] = personal()
    line1: Mapped[Sealed | None] = personal()
    line2: Mapped[Sealed | None] = personal()
    postcode: Mapped[Sealed | None] = personal()
    city: Mapped[Sealed | None] = personal()
    vat_id: Mapped[Sealed | None] = personal()
    country: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()


class CreditNote(Base):
    """What was taken off an invoice afterwards, or, when a refund failed after all, put on again.

    `total_minor` is positive for a credit and negative for one that cancels an earlier one (`reverses_id`). `occasion`
    is 1 for the first credit of a refund; one that failed after all and then went through has another one. Never
    changed, never deleted.
    """

    __tablename__ = "credit_note"
    __table_args__ = (
        CheckConstraint(
            "CASE WHEN reverses_id IS NULL THEN total_minor > 0 AND tax_minor >= 0"
            " ELSE total_minor < 0 AND tax_minor <= 0 END",
            name="direction",
        ),
        CheckConstraint("occasion > 0", name="occasion"),
        Index("uq_credit_note_refund", "refund_id", "occasion", unique=True, postgresql_where="reverses_id IS NULL"),
        Index("ix_credit_note_invoice", "invoice_id"),
        Index("ix_credit_note_user", "user_id", "issued_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    number: Mapped[str] = business(Text, unique=True)
    invoice_id: Mapped[str] = business(Text, ForeignKey("invoice.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    refund_id: Mapped[str] = business(Text, ForeignKey("refund.id"))
    reverses_id: Mapped[str | None] = business(Text, ForeignKey("credit_note.id"), unique=True)
    occasion: Mapped[int] = business(SmallInteger, server_default="1")
    legal_entity_id: Mapped[str] = business(Text, ForeignKey("legal_entity.id"))
    billing_profile_id: Mapped[str] = business(Text, ForeignKey("billing_profile.id"))
    locale: Mapped[str] = business(Text)
    currency: Mapped[str] = business(Text)
    tax_minor: Mapped[int] = business(BigInteger)
    total_minor: Mapped[int] = business(BigInteger)
    issued_at: Mapped[datetime] = business()
    created_at: Mapped[datetime] = business()


class CreditNoteLine(Base):
    """One line of a credit note, as of an invoice."""

    __tablename__ = "credit_note_line"
    __table_args__ = (
        CheckConstraint(_KINDS, name="kind"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("(kind = 'tax') = (tax_basis_points IS NOT NULL)", name="rate_of_tax"),
    )

    credit_note_id: Mapped[str] = business(Text, ForeignKey("credit_note.id"), primary_key=True)
    position: Mapped[int] = business(SmallInteger, primary_key=True)
    kind: Mapped[str] = business(Text)
    label: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    tax_basis_points: Mapped[int | None] = business(Integer)
