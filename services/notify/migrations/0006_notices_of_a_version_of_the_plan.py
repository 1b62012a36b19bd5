"""What is told of a plan, and proves that it is known, is of one version of it; an end names all that it ends."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "notify_0006", "notify_0005", None, None


_FIRST = "UPDATE notify.delivery SET facts = facts || '{\"version\": 1}' WHERE event_class = 'planned-outage'"


def upgrade() -> None:
    upgrade_delivery()
    upgrade_notice_due()
    upgrade_notice_proof()


def upgrade_delivery() -> None:
    op.alter_column(
        "delivery",
        "told_of",
        type_=postgresql.ARRAY(sa.String(length=40)),
        postgresql_using="CASE WHEN told_of IS NULL THEN '{}' ELSE ARRAY[told_of] END",
        server_default=sa.text("'{}'"),
        nullable=False,
        schema="notify",
    )
    op.execute(_FIRST)


def upgrade_notice_due() -> None:
    op.add_column(
        "notice_due", sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"), schema="notify"
    )
    op.alter_column("notice_due", "version", server_default=None, schema="notify")


def upgrade_notice_proof() -> None:
    op.add_column(
        "notice_proof", sa.Column("plan_version", sa.BigInteger(), nullable=False, server_default="1"), schema="notify"
    )
    op.alter_column("notice_proof", "plan_version", server_default=None, schema="notify")


def downgrade() -> None:
    downgrade_notice_proof()
    downgrade_notice_due()
    downgrade_delivery()


def downgrade_notice_proof() -> None:
    op.drop_column("notice_proof", "plan_version", schema="notify")


def downgrade_notice_due() -> None:
    op.drop_column("notice_due", "version", schema="notify")


def downgrade_delivery() -> None:
    op.alter_column("delivery", "told_of", server_default=None, nullable=True, schema="notify")
    op.alter_column(
        "delivery",
        "told_of",
        type_=sa.String(length=40),
        postgresql_using="told_of[1]",
        schema="notify",
    )
