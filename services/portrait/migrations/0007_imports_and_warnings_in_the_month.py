"""Imports and warnings in the month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0007", "portrait_0006", None, None


def upgrade() -> None:
    upgrade_import_error()
    upgrade_import_file()
    upgrade_import_part()
    upgrade_usage_warning()
    upgrade_warning_due()
    upgrade_warning_threshold()


def upgrade_import_error() -> None:
    op.create_table(
        "import_error",
        sa.Column("import_id", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("column", sa.String(length=120), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "ordinal", name=op.f("pk_import_error")),
        schema="portrait",
    )


def upgrade_import_file() -> None:
    op.create_table(
        "import_file",
        sa.Column("import_id", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("hints", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("file_format", sa.String(length=10), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False, comment="receiving, reading, refused or done"),
        sa.Column("refused_field", sa.String(length=40), nullable=True),
        sa.Column("refused_zh", sa.Text(), nullable=True),
        sa.Column("refused_en", sa.Text(), nullable=True),
        sa.Column("items_done", sa.BigInteger(), nullable=False, comment="readings and errors of the file dealt with"),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("last_row", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_import_file")),
        schema="portrait",
    )
    op.create_index(
        "ix_import_file_open",
        "import_file",
        ["requested_at"],
        unique=False,
        schema="portrait",
        postgresql_where=sa.text("state = 'reading'"),
    )
    op.create_index(
        op.f("ix_import_file_requested_by"), "import_file", ["requested_by"], unique=False, schema="portrait"
    )


def upgrade_import_part() -> None:
    op.create_table(
        "import_part",
        sa.Column("import_id", sa.String(length=64), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "part", name=op.f("pk_import_part")),
        schema="portrait",
    )


def upgrade_usage_warning() -> None:
    op.create_table(
        "usage_warning",
        sa.Column("warning_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column(
            "line",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="value, limit, unit and figures when it was told last",
        ),
        sa.Column("times_told", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_because", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("warning_id", name=op.f("pk_usage_warning")),
        schema="portrait",
    )
    op.create_index(
        "ix_usage_warning_customer_id", "usage_warning", ["customer_id", "month"], unique=False, schema="portrait"
    )
    op.create_index(
        "uq_usage_warning_open",
        "usage_warning",
        ["account_id", "kind"],
        unique=True,
        schema="portrait",
        postgresql_where=sa.text("cleared_at IS NULL"),
    )


def upgrade_warning_due() -> None:
    op.create_table(
        "warning_due",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_warning_due")),
        schema="portrait",
        comment="Customers whose current month has changed; for the worker only",
    )


def upgrade_warning_threshold() -> None:
    op.create_table(
        "warning_threshold",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the customer's own values only",
        ),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "effective_from", name=op.f("pk_warning_threshold")),
        schema="portrait",
    )


def downgrade() -> None:
    op.drop_table("warning_threshold", schema="portrait")
    op.drop_table("warning_due", schema="portrait")
    op.drop_table("usage_warning", schema="portrait")
    op.drop_table("import_part", schema="portrait")
    op.drop_table("import_file", schema="portrait")
    op.drop_table("import_error", schema="portrait")
