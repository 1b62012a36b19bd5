"""Deliveries, limits and policies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "notify_0003", "notify_0002", None, None


def upgrade() -> None:
    upgrade_circuit()
    upgrade_delivery()
    upgrade_delivery_indexes()
    upgrade_early_receipt()
    upgrade_planning()
    upgrade_policy_version()
    upgrade_preference()
    upgrade_quiet_hours()
    upgrade_set_part()
    upgrade_template_version()
    upgrade_token_bucket()
    upgrade_attempt()
    upgrade_delivery_account()


def upgrade_circuit() -> None:
    op.create_table(
        "circuit",
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("times_opened", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("provider", "template", name=op.f("pk_circuit")),
        schema="notify",
    )


def upgrade_delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("happening", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("event_class", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("cause_type", sa.String(length=200), nullable=False),
        sa.Column("cause_id", sa.String(length=200), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("provider", sa.String(length=16), nullable=True),
        sa.Column("ladder", postgresql.ARRAY(sa.String(length=10)), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("mandatory", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("fallback_seconds", sa.Integer(), nullable=True),
        sa.Column("ack", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=True),
        sa.Column("told_of", sa.String(length=40), nullable=True),
        sa.Column("after_delivery_id", sa.Uuid(), nullable=True),
        sa.Column("fallback_of", sa.Uuid(), nullable=True),
        sa.Column("digest_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("doubtful_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fallback_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirm_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_message_id", sa.String(length=64), nullable=True),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_xid",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("happening", "person_id", "channel", name=op.f("uq_delivery_happening_person_id_channel")),
        schema="notify",
    )


def upgrade_delivery_indexes() -> None:
    op.create_index(
        "ix_delivery_confirm",
        "delivery",
        ["confirm_by"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("confirm_by IS NOT NULL"),
    )
    op.create_index(op.f("ix_delivery_customer_id"), "delivery", ["customer_id"], unique=False, schema="notify")
    op.create_index(
        "ix_delivery_digest",
        "delivery",
        ["digest_id"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("digest_id IS NOT NULL"),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["channel", "priority", "next_attempt_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("state IN ('pending', 'sending')"),
    )
    op.create_index(
        "ix_delivery_fallback",
        "delivery",
        ["fallback_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("fallback_at IS NOT NULL"),
    )
    op.create_index(
        "ix_delivery_give_up",
        "delivery",
        ["give_up_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("state IN ('held', 'pending')"),
    )
    op.create_index(
        "ix_delivery_held",
        "delivery",
        ["next_attempt_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(op.f("ix_delivery_person_id"), "delivery", ["person_id"], unique=False, schema="notify")
    op.create_index(
        op.f("ix_delivery_provider_message_id"), "delivery", ["provider_message_id"], unique=False, schema="notify"
    )
    op.create_index(
        "ix_delivery_stream", "delivery", ["person_id", "created_xid", "seq"], unique=False, schema="notify"
    )
    op.create_index(op.f("ix_delivery_subject_id"), "delivery", ["subject_id"], unique=False, schema="notify")


def upgrade_early_receipt() -> None:
    op.create_table(
        "early_receipt",
        sa.Column("provider_message_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider_message_id", name=op.f("pk_early_receipt")),
        schema="notify",
    )


def upgrade_planning() -> None:
    op.create_table(
        "planning",
        sa.Column("planning_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("event_class", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("happening", sa.String(length=200), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "account_ids", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("people", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("planning_id", "customer_id", name=op.f("pk_planning")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_planning_customer_id_planned_at"),
        "planning",
        ["customer_id", "planned_at"],
        unique=False,
        schema="notify",
    )
    op.create_index(op.f("ix_planning_planned_at"), "planning", ["planned_at"], unique=False, schema="notify")
    op.create_index(op.f("ix_planning_subject_id"), "planning", ["subject_id"], unique=False, schema="notify")


def upgrade_policy_version() -> None:
    op.create_table(
        "policy_version",
        sa.Column("version", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_version")),
        schema="notify",
    )


def upgrade_preference() -> None:
    op.create_table(
        "preference",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("event_class", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "event_class", "channel", name=op.f("pk_preference")),
        schema="notify",
    )


def upgrade_quiet_hours() -> None:
    op.create_table(
        "quiet_hours",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("begins", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_quiet_hours")),
        schema="notify",
    )


def upgrade_set_part() -> None:
    op.create_table(
        "set_part",
        sa.Column("set_id", sa.String(length=100), nullable=False),
        sa.Column("set_version", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("set_id", "set_version", "part", name=op.f("pk_set_part")),
        schema="notify",
    )


def upgrade_template_version() -> None:
    op.create_table(
        "template_version",
        sa.Column("template_key", sa.Uuid(), nullable=False),
        sa.Column("event_class", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("wording", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("template_key", name=op.f("pk_template_version")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_template_version_event_class_channel_language_number"),
        "template_version",
        ["event_class", "channel", "language", "number"],
        unique=True,
        schema="notify",
    )


def upgrade_token_bucket() -> None:
    op.create_table(
        "token_bucket",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_token_bucket")),
        schema="notify",
    )


def upgrade_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["notify.delivery.delivery_id"], name=op.f("fk_attempt_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_attempt")),
        schema="notify",
    )


def upgrade_delivery_account() -> None:
    op.create_table(
        "delivery_account",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["notify.delivery.delivery_id"],
            name=op.f("fk_delivery_account_delivery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "account_id", name=op.f("pk_delivery_account")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_delivery_account_customer_id"), "delivery_account", ["customer_id"], unique=False, schema="notify"
    )


def downgrade() -> None:
    op.drop_table("delivery_account", schema="notify")
    op.drop_table("attempt", schema="notify")
    op.drop_table("token_bucket", schema="notify")
    op.drop_table("template_version", schema="notify")
    op.drop_table("set_part", schema="notify")
    op.drop_table("quiet_hours", schema="notify")
    op.drop_table("preference", schema="notify")
    op.drop_table("policy_version", schema="notify")
    op.drop_table("planning", schema="notify")
    op.drop_table("early_receipt", schema="notify")
    op.drop_table("delivery", schema="notify")
    op.drop_table("circuit", schema="notify")
