"""The first schema: people, catalogue, subscriptions, payments, invoices, refunds, inbox, mails, jobs."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_api_key_token_digest")),
    )
    op.create_index("ix_api_key_live", "api_key", ["token_digest"], unique=False, postgresql_where="revoked_at IS NULL")
    op.create_table(
        "app_user",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("email_index", sa.LargeBinary(), nullable=True),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), server_default="en", nullable=False),
        sa.Column("whop_user_id", sa.Text(), nullable=True),
        sa.Column("terms_accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(email IS NULL) = (email_index IS NULL)", name=op.f("ck_app_user_email_indexed")),
        sa.CheckConstraint("password_hash IS NULL OR email IS NOT NULL", name=op.f("ck_app_user_password_needs_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("email_index", name=op.f("uq_app_user_email_index")),
        sa.UniqueConstraint("whop_user_id", name=op.f("uq_app_user_whop_user_id")),
    )
    op.create_table(
        "data_key",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_data_key")),
    )
    op.create_table(
        "feature",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_feature")),
    )
    op.create_table(
        "idempotency_record",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_record")),
    )
    op.create_index(op.f("ix_idempotency_record_created_at"), "idempotency_record", ["created_at"], unique=False)
    op.create_table(
        "inbox_key",
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("week", name=op.f("pk_inbox_key")),
    )
    op.create_table(
        "invoice_counter",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_invoice_counter")),
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tagline", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("period_days", sa.Integer(), nullable=True),
        sa.Column("trial_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("grace_days", sa.Integer(), server_default="7", nullable=False),
        sa.Column("highlighted", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("whop_plan_id", sa.Text(), nullable=True),
        sa.Column("whop_product_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'recurring') = (period_days IS NOT NULL)", name=op.f("ck_plan_recurring_has_period")
        ),
        sa.CheckConstraint("kind IN ('free', 'recurring', 'lifetime')", name=op.f("ck_plan_kind")),
        sa.CheckConstraint("price_minor >= 0 AND (kind = 'free') = (price_minor = 0)", name=op.f("ck_plan_price")),
        sa.CheckConstraint("trial_days >= 0 AND grace_days >= 0", name=op.f("ck_plan_days")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("code", name=op.f("uq_plan_code")),
        sa.UniqueConstraint("whop_plan_id", name=op.f("uq_plan_whop_plan_id")),
    )
    op.create_index(
        "uq_plan_free", "plan", ["kind"], unique=True, postgresql_where="kind = 'free' AND archived_at IS NULL"
    )
    op.create_table(
        "webhook_body",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "received_at", name=op.f("pk_webhook_body")),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'processing', 'processed', 'ignored', 'stale', 'retrying', 'dead', 'quarantined')",
            name=op.f("ck_webhook_event_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
        sa.UniqueConstraint("webhook_id", name=op.f("uq_webhook_event_webhook_id")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_webhook_event_due",
        "webhook_event",
        ["due_at", "id"],
        unique=False,
        postgresql_where="state IN ('received', 'processing', 'retrying')",
    )
    op.create_index(
        "ix_webhook_event_lane",
        "webhook_event",
        ["ordering_key", "id"],
        unique=False,
        postgresql_where="state IN ('processing', 'retrying')",
    )
    op.create_index(
        "ix_webhook_event_trouble",
        "webhook_event",
        ["state", "id"],
        unique=False,
        postgresql_where="state IN ('dead', 'quarantined')",
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("cause_key", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'failed', 'skipped')", name=op.f("ck_notification_state")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_notification_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("cause_key", name=op.f("uq_notification_cause_key")),
    )
    op.create_index(
        "ix_notification_due",
        "notification",
        ["due_at", "id"],
        unique=False,
        postgresql_where="state IN ('queued', 'sending')",
    )
    op.create_index("ix_notification_user", "notification", ["user_id", "id"], unique=False)
    op.create_table(
        "plan_feature",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("feature_code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["feature_code"], ["feature.code"], name=op.f("fk_plan_feature_feature_code")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_feature_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "feature_code", name=op.f("pk_plan_feature")),
    )
    op.create_table(
        "subscription",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("whop_membership_id", sa.Text(), nullable=False),
        sa.Column("checkout_id", sa.Text(), nullable=True),
        sa.Column("cancel_at_period_end", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("needs_review", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trial_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grace_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewal_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('incomplete', 'trialing', 'active', 'past_due', 'paused', 'canceled', 'expired', 'completed')",
            name=op.f("ck_subscription_status"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_subscription_plan_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_subscription_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("whop_membership_id", name=op.f("uq_subscription_whop_membership_id")),
    )
    op.create_index("ix_subscription_user", "subscription", ["user_id", "created_at"], unique=False)
    op.create_index(
        "uq_subscription_live",
        "subscription",
        ["user_id"],
        unique=True,
        postgresql_where="status IN ('trialing', 'active', 'past_due', 'paused', 'completed')",
    )
    op.create_table(
        "user_session",
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("ip", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_user_session_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_user_session")),
    )
    op.create_index(op.f("ix_user_session_expires_at"), "user_session", ["expires_at"], unique=False)
    op.create_index(op.f("ix_user_session_user_id"), "user_session", ["user_id"], unique=False)
    op.create_table(
        "checkout_intent",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("whop_checkout_id", sa.Text(), nullable=True),
        sa.Column("purchase_url", sa.Text(), nullable=True),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("whop_membership_id", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('created', 'open', 'completed', 'failed', 'expired', 'unknown')",
            name=op.f("ck_checkout_intent_state"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_checkout_intent_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_checkout_intent_subscription_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_checkout_intent_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkout_intent")),
        sa.UniqueConstraint("whop_checkout_id", name=op.f("uq_checkout_intent_whop_checkout_id")),
    )
    op.create_index(
        "ix_checkout_intent_open",
        "checkout_intent",
        ["created_at"],
        unique=False,
        postgresql_where="state IN ('created', 'open', 'unknown')",
    )
    op.create_index("ix_checkout_intent_user", "checkout_intent", ["user_id", "created_at"], unique=False)
    op.create_table(
        "payment_transaction",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("plan_id", sa.Text(), nullable=True),
        sa.Column("whop_payment_id", sa.Text(), nullable=False),
        sa.Column("whop_membership_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("raw_status", sa.Text(), nullable=False),
        sa.Column("substatus", sa.Text(), nullable=True),
        sa.Column("billing_reason", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subtotal_minor", sa.BigInteger(), nullable=True),
        sa.Column("tax_minor", sa.BigInteger(), nullable=True),
        sa.Column("tax_behavior", sa.Text(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=True),
        sa.Column("net_minor", sa.BigInteger(), nullable=True),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refund_pending", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("method_kind", sa.Text(), nullable=True),
        sa.Column("method_brand", sa.Text(), nullable=True),
        sa.Column("method_last4", sa.Text(), nullable=True),
        sa.Column("attempts_failed", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("recovery_url", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gateway_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'open', 'requires_action', 'failed', 'pending', 'authorized', 'paid', 'partially_refunded', 'refunded', 'void', 'uncollectible', 'unresolved')",
            name=op.f("ck_payment_transaction_status"),
        ),
        sa.CheckConstraint("refunded_minor >= 0", name=op.f("ck_payment_transaction_refunded")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_payment_transaction_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_payment_transaction_subscription_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_payment_transaction_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_transaction")),
        sa.UniqueConstraint("whop_payment_id", name=op.f("uq_payment_transaction_whop_payment_id")),
    )
    op.create_index("ix_payment_transaction_subscription", "payment_transaction", ["subscription_id"], unique=False)
    op.create_index(
        "ix_payment_transaction_user", "payment_transaction", ["user_id", "occurred_at", "id"], unique=False
    )
    op.create_table(
        "subscription_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_subscription_event_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_event")),
    )
    op.create_index("ix_subscription_event_subscription", "subscription_event", ["subscription_id", "id"], unique=False)
    op.create_table(
        "subscription_membership",
        sa.Column("whop_membership_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("whop_plan_id", sa.Text(), nullable=False),
        sa.Column("whop_user_id", sa.Text(), nullable=True),
        sa.Column("whop_member_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("raw_status", sa.Text(), nullable=False),
        sa.Column("cancel_at_period_end", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("needs_review", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewal_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("past_due_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_subscription_membership_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_subscription_membership_subscription_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_subscription_membership_user_id")),
        sa.PrimaryKeyConstraint("whop_membership_id", name=op.f("pk_subscription_membership")),
    )
    op.create_index("ix_subscription_membership_member", "subscription_membership", ["whop_member_id"], unique=False)
    op.create_index(
        "ix_subscription_membership_subscription", "subscription_membership", ["subscription_id"], unique=False
    )
    op.create_table(
        "invoice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("plan_id", sa.Text(), nullable=True),
        sa.Column("whop_payment_id", sa.Text(), nullable=True),
        sa.Column("whop_invoice_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subtotal_minor", sa.BigInteger(), nullable=True),
        sa.Column("tax_minor", sa.BigInteger(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts_failed", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "number IS NOT NULL OR status NOT IN ('paid', 'partially_refunded', 'refunded')",
            name=op.f("ck_invoice_paid_is_numbered"),
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'open', 'paid', 'payment_failed', 'past_due', 'partially_refunded', 'refunded', 'void', 'uncollectible')",
            name=op.f("ck_invoice_status"),
        ),
        sa.CheckConstraint(
            "whop_payment_id IS NOT NULL OR whop_invoice_id IS NOT NULL", name=op.f("ck_invoice_has_origin")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_invoice_plan_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_invoice_subscription_id")),
        sa.ForeignKeyConstraint(["transaction_id"], ["payment_transaction.id"], name=op.f("fk_invoice_transaction_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_invoice_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
        sa.UniqueConstraint("whop_invoice_id", name=op.f("uq_invoice_whop_invoice_id")),
        sa.UniqueConstraint("whop_payment_id", name=op.f("uq_invoice_whop_payment_id")),
    )
    op.create_index("ix_invoice_transaction", "invoice", ["transaction_id"], unique=False)
    op.create_index("ix_invoice_user", "invoice", ["user_id", "issued_at", "id"], unique=False)
    op.create_table(
        "payment_attempt",
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("decline_class", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["payment_transaction.id"], name=op.f("fk_payment_attempt_transaction_id")
        ),
        sa.PrimaryKeyConstraint("transaction_id", "number", name=op.f("pk_payment_attempt")),
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("whop_refund_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gateway_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled', 'unknown')",
            name=op.f("ck_refund_status"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["transaction_id"], ["payment_transaction.id"], name=op.f("fk_refund_transaction_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_refund_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("whop_refund_id", name=op.f("uq_refund_whop_refund_id")),
    )
    op.create_index("ix_refund_transaction", "refund", ["transaction_id"], unique=False)
    op.create_index("ix_refund_user", "refund", ["user_id", "occurred_at", "id"], unique=False)
    _partitioned_bodies()
    _append_only_history()
    _job_queue()


def _partitioned_bodies() -> None:
    # Weekly partitions are made by the product as time goes on; the default one makes sure that no delivery is ever
    # refused because nobody made its week in time.
    op.execute("CREATE TABLE webhook_body_default PARTITION OF webhook_body DEFAULT")


def _append_only_history() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER subscription_event_append_only BEFORE UPDATE OR DELETE ON subscription_event
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """
    )
    op.execute(
        """
        CREATE TRIGGER subscription_event_no_truncate BEFORE TRUNCATE ON subscription_event
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """
    )


def _job_queue() -> None:
    # The job library brings its own schema; its statements hold percent signs, so they go to the driver untouched.
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection to migrate on is closed")
    driver.execute(SchemaManager.get_schema())


def downgrade() -> None:
    raise NotImplementedError("the first schema has no way back: restore a backup, or drop the database")
