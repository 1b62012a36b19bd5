"""Notices, announcements, tasks, tickets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "notify_0005", "notify_0004", None, None


def upgrade() -> None:
    upgrade_announcement()
    upgrade_notice_due()
    upgrade_notice_proof()
    upgrade_privacy_request()
    upgrade_task()
    upgrade_ticket()
    upgrade_watched_outage()
    upgrade_webhook_endpoint()
    upgrade_announced_to()


def upgrade_announcement() -> None:
    op.create_table(
        "announcement",
        sa.Column("announcement_key", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("headline", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("audience", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recalled_by", sa.String(length=64), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("announcement_key", name=op.f("pk_announcement")),
        schema="notify",
    )


def upgrade_notice_due() -> None:
    op.create_table(
        "notice_due",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("standing", sa.String(length=10), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", "customer_id", name=op.f("pk_notice_due")),
        schema="notify",
    )
    op.create_index(op.f("ix_notice_due_customer_id"), "notice_due", ["customer_id"], unique=False, schema="notify")


def upgrade_notice_proof() -> None:
    op.create_table(
        "notice_proof",
        sa.Column("proof_id", sa.Uuid(), nullable=False),
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("proof_id", name=op.f("pk_notice_proof")),
        schema="notify",
    )
    op.create_index(op.f("ix_notice_proof_customer_id"), "notice_proof", ["customer_id"], unique=False, schema="notify")
    op.create_index(op.f("ix_notice_proof_outage_id"), "notice_proof", ["outage_id"], unique=False, schema="notify")


def upgrade_privacy_request() -> None:
    op.create_table(
        "privacy_request",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("words_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_privacy_request")),
        schema="notify",
    )
    op.create_index(
        "ix_privacy_request_open",
        "privacy_request",
        ["asked_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index(
        op.f("ix_privacy_request_person_id"), "privacy_request", ["person_id"], unique=False, schema="notify"
    )


def upgrade_task() -> None:
    op.create_table(
        "task",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task")),
        schema="notify",
    )
    op.create_index(op.f("ix_task_customer_id"), "task", ["customer_id"], unique=False, schema="notify")
    op.create_index(
        "uq_task_open",
        "task",
        ["customer_id", "kind"],
        unique=True,
        schema="notify",
        postgresql_where=sa.text("done_at IS NULL"),
    )


def upgrade_ticket() -> None:
    op.create_table(
        "ticket",
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("ticket_id", name=op.f("pk_ticket")),
        schema="notify",
    )
    op.create_index(op.f("ix_ticket_customer_id"), "ticket", ["customer_id"], unique=False, schema="notify")


def upgrade_watched_outage() -> None:
    op.create_table(
        "watched_outage",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_watched_outage")),
        schema="notify",
    )
    op.create_index(op.f("ix_watched_outage_starts_at"), "watched_outage", ["starts_at"], unique=False, schema="notify")


def upgrade_webhook_endpoint() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column(
            "event_classes", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("secret_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("former_secret_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_webhook_endpoint")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_webhook_endpoint_customer_id"), "webhook_endpoint", ["customer_id"], unique=False, schema="notify"
    )


def upgrade_announced_to() -> None:
    op.create_table(
        "announced_to",
        sa.Column("announcement_key", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement_key"],
            ["notify.announcement.announcement_key"],
            name=op.f("fk_announced_to_announcement_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("announcement_key", "person_id", name=op.f("pk_announced_to")),
        schema="notify",
    )


def downgrade() -> None:
    op.drop_table("announced_to", schema="notify")
    op.drop_table("webhook_endpoint", schema="notify")
    op.drop_table("watched_outage", schema="notify")
    op.drop_table("ticket", schema="notify")
    op.drop_table("task", schema="notify")
    op.drop_table("privacy_request", schema="notify")
    op.drop_table("notice_proof", schema="notify")
    op.drop_table("notice_due", schema="notify")
    op.drop_table("announcement", schema="notify")
