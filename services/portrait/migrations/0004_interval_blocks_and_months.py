"""Interval blocks and months."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0004", "portrait_0003", None, None


def upgrade() -> None:
    upgrade_changed_days()
    upgrade_day_mark()
    upgrade_gap_estimate()
    upgrade_interval_block()
    upgrade_month_close()
    upgrade_month_facts()
    upgrade_monthly_usage()
    upgrade_usage_point_holder()
    upgrade_usage_revision()


def upgrade_changed_days() -> None:
    op.create_table(
        "changed_days",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("day_points", sa.Text(), nullable=False, comment="a line per day: day, tab, usage points by blanks"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changed_days")),
        schema="portrait",
        comment="One row per stored batch; taken away once its days have been looked at",
    )


def upgrade_day_mark() -> None:
    op.create_table(
        "day_mark",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("step_minutes", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("marks", sa.LargeBinary(), nullable=False, comment="a byte per slot: rules/validation.py MARKS"),
        sa.Column("suspect", sa.SmallInteger(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "channel", "day", "step_minutes", name=op.f("pk_day_mark")),
        schema="portrait",
        comment="Days with suspect slots only; a day without a row has passed every check",
    )
    op.create_index(op.f("ix_day_mark_customer_id"), "day_mark", ["customer_id"], unique=False, schema="portrait")


def upgrade_gap_estimate() -> None:
    op.create_table(
        "gap_estimate",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("slots", sa.SmallInteger(), nullable=False),
        sa.Column("energy", sa.BigInteger(), nullable=False, comment="Wh or varh put into the slots"),
        sa.Column("method", sa.String(length=20), nullable=False, comment="rules/gap_estimate.py METHODS"),
        sa.Column(
            "scaled", sa.String(length=20), nullable=False, comment="register, or why the register did not scale it"
        ),
        sa.Column("estimated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "channel", "day", name=op.f("pk_gap_estimate")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_gap_estimate_customer_id"), "gap_estimate", ["customer_id"], unique=False, schema="portrait"
    )


def upgrade_interval_block() -> None:
    op.create_table(
        "interval_block",
        sa.Column("usage_point_id", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("channel", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("step_minutes", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.LargeBinary(), nullable=False),
        sa.Column("source_time_us", sa.LargeBinary(), nullable=False),
        sa.Column("tie", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("maximum", sa.BigInteger(), nullable=False),
        sa.Column("maximum_slot", sa.SmallInteger(), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("minimum_slot", sa.SmallInteger(), nullable=False),
        sa.Column("present", sa.SmallInteger(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "channel", "day", "step_minutes", name=op.f("pk_interval_block")),
        schema="portrait",
        comment="Energy of one usage point, channel and local day in Wh or varh; services/portrait/rules/day_block.py",
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index(
        "ix_interval_block_orphan",
        "interval_block",
        ["usage_point_id"],
        unique=False,
        schema="portrait",
        postgresql_where=sa.text("customer_id IS NULL"),
    )


def upgrade_month_close() -> None:
    op.create_table(
        "month_close",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(length=64), nullable=False),
        sa.Column(
            "done_up_to", sa.String(length=64), nullable=False, comment="last customer computed; empty at the start"
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_month_close")),
        schema="portrait",
    )


def upgrade_month_facts() -> None:
    op.create_table(
        "month_facts",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False, comment="blocks or holders changed since"),
        sa.Column(
            "facts", sa.LargeBinary(), nullable=False, comment="services/portrait/rules/month_facts.py; empty: no data"
        ),
        sa.PrimaryKeyConstraint("customer_id", "month", name=op.f("pk_month_facts")),
        schema="portrait",
        comment="What the day blocks of a month leave for its indicators; refreshed before it is used",
    )
    op.create_index(
        "ix_month_facts_stale",
        "month_facts",
        ["customer_id", "month"],
        unique=False,
        schema="portrait",
        postgresql_where=sa.text("stale"),
    )


def upgrade_monthly_usage() -> None:
    op.create_table(
        "monthly_usage",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column("completeness", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "month", name=op.f("pk_monthly_usage")),
        schema="portrait",
    )


def upgrade_usage_point_holder() -> None:
    op.create_table(
        "usage_point_holder",
        sa.Column("usage_point_id", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("to_day", sa.Date(), nullable=True, comment="first day no longer held; open if null"),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "from_day", name=op.f("pk_usage_point_holder")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_usage_point_holder_customer_id"),
        "usage_point_holder",
        ["customer_id"],
        unique=False,
        schema="portrait",
    )


def upgrade_usage_revision() -> None:
    op.create_table(
        "usage_revision",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column("completeness", sa.Float(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False, comment="score-run, month-close or late-data"),
        sa.Column("after_close", sa.Boolean(), nullable=False),
        sa.Column(
            "changed",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="days and usage points looked at, energy before",
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "month", "revision", name=op.f("pk_usage_revision")),
        schema="portrait",
        comment="Every figure that was ever told; rows are only added",
    )


def downgrade() -> None:
    op.drop_table("usage_revision", schema="portrait")
    op.drop_table("usage_point_holder", schema="portrait")
    op.drop_table("monthly_usage", schema="portrait")
    op.drop_table("month_facts", schema="portrait")
    op.drop_table("month_close", schema="portrait")
    op.drop_table("interval_block", schema="portrait")
    op.drop_table("gap_estimate", schema="portrait")
    op.drop_table("day_mark", schema="portrait")
    op.drop_table("changed_days", schema="portrait")
