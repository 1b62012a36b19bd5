"""Planned outages are moved, taken back and begun; what was published before stays as it was announced."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "outage_0004", "outage_0003", None, None


_KNOWN = """
UPDATE outage.planned_outage p SET
  said_version = CASE WHEN p.status = 'accepted' THEN 0 ELSE p.version END,
  entered_by = coalesce((SELECT a.actor FROM outage.audit a WHERE a.action = 'planned-outage-accepted'
                         AND a.object_id = p.outage_id ORDER BY a.seq LIMIT 1), 'unknown'),
  unproven_customers = (
    SELECT count(DISTINCT a.customer_id) FROM outage.planned_affected a
    LEFT JOIN outage.planned_notice n ON n.outage_id = a.outage_id AND n.customer_id = a.customer_id
    WHERE a.outage_id = p.outage_id
      AND NOT coalesce(n.in_time AND (n.unproven_at IS NULL OR n.proven_at >= n.unproven_at), false))
"""


def upgrade() -> None:
    upgrade_planned_affected()
    upgrade_planned_notice()
    upgrade_planned_outage()


def upgrade_planned_affected() -> None:
    op.add_column(
        "planned_affected", sa.Column("position", sa.Integer(), nullable=False, server_default="0"), schema="outage"
    )
    op.alter_column("planned_affected", "position", server_default=None, schema="outage")


def upgrade_planned_notice() -> None:
    op.add_column("planned_notice", sa.Column("level", sa.String(length=16), nullable=True), schema="outage")


def upgrade_planned_outage() -> None:
    op.add_column(
        "planned_outage", sa.Column("said_version", sa.Integer(), nullable=False, server_default="0"), schema="outage"
    )
    op.alter_column("planned_outage", "said_version", server_default=None, schema="outage")
    op.add_column(
        "planned_outage",
        sa.Column("unproven_customers", sa.Integer(), nullable=False, server_default="0"),
        schema="outage",
    )
    op.alter_column("planned_outage", "unproven_customers", server_default=None, schema="outage")
    op.add_column(
        "planned_outage",
        sa.Column("entered_by", sa.String(length=64), nullable=False, server_default=""),
        schema="outage",
    )
    op.alter_column("planned_outage", "entered_by", server_default=None, schema="outage")
    op.add_column("planned_outage", sa.Column("changed_by", sa.String(length=64), nullable=True), schema="outage")
    op.add_column("planned_outage", sa.Column("overridden_by", sa.String(length=64), nullable=True), schema="outage")
    op.add_column(
        "planned_outage", sa.Column("overridden_at", sa.DateTime(timezone=True), nullable=True), schema="outage"
    )
    op.add_column("planned_outage", sa.Column("override_reason", sa.String(length=200), nullable=True), schema="outage")
    op.add_column("planned_outage", sa.Column("started_by", sa.String(length=64), nullable=True), schema="outage")
    op.add_column("planned_outage", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True), schema="outage")
    op.execute(_KNOWN)
    op.create_check_constraint(
        op.f("ck_planned_outage_second_person"),
        "planned_outage",
        "overridden_by NOT IN (entered_by, coalesce(changed_by, entered_by))",
        schema="outage",
    )
    op.create_index("ix_planned_outage_starts_at", "planned_outage", ["starts_at"], unique=False, schema="outage")
    op.create_index(
        "ix_planned_outage_unsaid",
        "planned_outage",
        ["outage_id"],
        unique=False,
        schema="outage",
        postgresql_where=sa.text("version > said_version"),
    )


def downgrade() -> None:
    downgrade_planned_outage()
    downgrade_planned_notice()
    downgrade_planned_affected()


def downgrade_planned_outage() -> None:
    op.drop_index(
        "ix_planned_outage_unsaid",
        table_name="planned_outage",
        schema="outage",
        postgresql_where=sa.text("version > said_version"),
    )
    op.drop_index("ix_planned_outage_starts_at", table_name="planned_outage", schema="outage")
    op.drop_constraint(op.f("ck_planned_outage_second_person"), "planned_outage", schema="outage")
    op.drop_column("planned_outage", "started_at", schema="outage")
    op.drop_column("planned_outage", "started_by", schema="outage")
    op.drop_column("planned_outage", "override_reason", schema="outage")
    op.drop_column("planned_outage", "overridden_at", schema="outage")
    op.drop_column("planned_outage", "overridden_by", schema="outage")
    op.drop_column("planned_outage", "changed_by", schema="outage")
    op.drop_column("planned_outage", "entered_by", schema="outage")
    op.drop_column("planned_outage", "unproven_customers", schema="outage")
    op.drop_column("planned_outage", "said_version", schema="outage")


def downgrade_planned_notice() -> None:
    op.drop_column("planned_notice", "level", schema="outage")


def downgrade_planned_affected() -> None:
    op.drop_column("planned_affected", "position", schema="outage")
