"""Outages and plans."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "outage_0003", "outage_0002", None, None


def upgrade() -> None:
    upgrade_outage()
    upgrade_planned_notice()
    upgrade_planned_outage()
    upgrade_affected()
    upgrade_planned_affected()
    upgrade_unknown_point()


def upgrade_outage() -> None:
    op.create_table(
        "outage",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("fault_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("estimated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("set_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_outage")),
        sa.UniqueConstraint("fault_id", name=op.f("uq_outage_fault_id")),
        schema="outage",
        info={"holds": "one per fault: detected, expected, restored, set version"},
    )
    op.create_index("ix_outage_detected_at", "outage", ["detected_at"], unique=False, schema="outage")


def upgrade_planned_notice() -> None:
    op.create_table(
        "planned_notice",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("important", sa.Boolean(), nullable=True),
        sa.Column("required_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unproven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_time", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("outage_id", "customer_id", name=op.f("pk_planned_notice")),
        schema="outage",
    )


def upgrade_planned_outage() -> None:
    op.create_table(
        "planned_outage",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("section_ids", postgresql.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_planned_outage")),
        schema="outage",
        info={"holds": "accepted and published plans"},
    )


def upgrade_affected() -> None:
    op.create_table(
        "affected",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outage.outage.outage_id"], name=op.f("fk_affected_outage_id")),
        sa.PrimaryKeyConstraint("outage_id", "usage_point_id", name=op.f("pk_affected")),
        schema="outage",
        info={"holds": "usage points of an outage, in the order of priority"},
    )
    op.create_index("ix_affected_customer_id", "affected", ["customer_id"], unique=False, schema="outage")


def upgrade_planned_affected() -> None:
    op.create_table(
        "planned_affected",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["outage_id"], ["outage.planned_outage.outage_id"], name=op.f("fk_planned_affected_outage_id")
        ),
        sa.PrimaryKeyConstraint("outage_id", "usage_point_id", name=op.f("pk_planned_affected")),
        schema="outage",
        info={"holds": "whom a published plan touches"},
    )
    op.create_index(
        "ix_planned_affected_customer_id", "planned_affected", ["customer_id"], unique=False, schema="outage"
    )


def upgrade_unknown_point() -> None:
    op.create_table(
        "unknown_point",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outage.outage.outage_id"], name=op.f("fk_unknown_point_outage_id")),
        sa.PrimaryKeyConstraint("outage_id", "usage_point_id", name=op.f("pk_unknown_point")),
        schema="outage",
        info={"holds": "usage points without supply whose owner is not known yet"},
    )
    op.create_index(
        "ix_unknown_point_usage_point_id", "unknown_point", ["usage_point_id"], unique=False, schema="outage"
    )


def downgrade() -> None:
    op.drop_table("unknown_point", schema="outage")
    op.drop_table("planned_affected", schema="outage")
    op.drop_table("affected", schema="outage")
    op.drop_table("planned_outage", schema="outage")
    op.drop_table("planned_notice", schema="outage")
    op.drop_table("outage", schema="outage")
