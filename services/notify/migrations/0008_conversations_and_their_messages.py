"""Conversations and their messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "notify_0008", "notify_0007", None, None


def upgrade() -> None:
    upgrade_conversation()
    upgrade_conversation_indexes()
    upgrade_conversation_message()
    upgrade_conversation_message_indexes()


def upgrade_conversation() -> None:
    op.create_table(
        "conversation",
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=True),
        sa.Column("by_hand", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("asked_ids", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("tell_due", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("level", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_step_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("breached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("attached", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_conversation")),
        schema="notify",
    )


def upgrade_conversation_indexes() -> None:
    op.create_index(op.f("ix_conversation_customer_id"), "conversation", ["customer_id"], unique=False, schema="notify")
    op.create_index(
        "ix_conversation_step",
        "conversation",
        ["next_step_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("next_step_at IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_tell",
        "conversation",
        ["opened_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("tell_due"),
    )
    op.create_index(
        "ix_conversation_waiting",
        "conversation",
        ["waiting_since"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
    op.create_index(
        "uq_conversation_open",
        "conversation",
        ["customer_id", "topic"],
        unique=True,
        schema="notify",
        postgresql_where=sa.text("state = 'open'"),
    )


def upgrade_conversation_message() -> None:
    op.create_table(
        "conversation_message",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("text_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("content_cipher", sa.LargeBinary(), nullable=True),
        sa.Column("media_index", sa.LargeBinary(), nullable=True),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("push_index", sa.LargeBinary(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["notify.conversation.conversation_id"],
            name=op.f("fk_conversation_message_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_conversation_message")),
        sa.UniqueConstraint("push_index", name=op.f("uq_conversation_message_push_index")),
        schema="notify",
    )


def upgrade_conversation_message_indexes() -> None:
    op.create_index(
        op.f("ix_conversation_message_customer_id"),
        "conversation_message",
        ["customer_id"],
        unique=False,
        schema="notify",
    )
    op.create_index(
        "ix_conversation_message_person", "conversation_message", ["person_id"], unique=False, schema="notify"
    )
    op.create_index(
        "ix_conversation_message_said",
        "conversation_message",
        ["conversation_id", "said_at"],
        unique=False,
        schema="notify",
    )
    op.create_index(
        "ix_conversation_message_untold",
        "conversation_message",
        ["said_at"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("told_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("conversation_message", schema="notify")
    op.drop_table("conversation", schema="notify")
