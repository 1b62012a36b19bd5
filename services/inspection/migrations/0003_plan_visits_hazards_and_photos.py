"""Plan, visits, hazards and photos."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "inspection_0003", "inspection_0002", None, None


def upgrade() -> None:
    upgrade_equipment_state()
    upgrade_hazard()
    upgrade_hazard_step()
    upgrade_inspection_plan()
    upgrade_photo()
    upgrade_visit()
    upgrade_visit_item()


def upgrade_equipment_state() -> None:
    op.create_table(
        "equipment_state",
        sa.Column("asset_id", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("last_value", sa.Float(), nullable=False),
        sa.Column("frozen_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "quantity", name=op.f("pk_equipment_state")),
        schema="inspection",
        info={"holds": "last readings of each quantity, for frozen measurements"},
    )
    op.create_index(
        op.f("ix_equipment_state_customer_id"), "equipment_state", ["customer_id"], unique=False, schema="inspection"
    )


def upgrade_hazard() -> None:
    op.create_table(
        "hazard",
        sa.Column("hazard_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.String(length=64), nullable=True),
        sa.Column("visit_id", sa.String(length=64), nullable=True),
        sa.Column("item_code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("suspected", sa.Boolean(), nullable=False),
        sa.Column("grade", sa.String(length=10), nullable=False),
        sa.Column("finding", sa.String(length=200), nullable=False),
        sa.Column("finder_ids", postgresql.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column(
            "rectified_by", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("overdue_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hazard_id", name=op.f("pk_hazard")),
        schema="inspection",
        info={"holds": "hazards with grade, deadline, status"},
    )
    op.create_index(
        op.f("ix_hazard_customer_id_hazard_id"),
        "hazard",
        ["customer_id", "hazard_id"],
        unique=False,
        schema="inspection",
    )
    op.create_index(
        "ix_hazard_deadline",
        "hazard",
        ["deadline"],
        unique=False,
        schema="inspection",
        postgresql_where=sa.text("overdue_since IS NULL AND status IN ('found', 'notified', 'confirmed')"),
    )
    op.create_index(
        "ix_hazard_site_open",
        "hazard",
        ["site_id"],
        unique=False,
        schema="inspection",
        postgresql_where=sa.text("status NOT IN ('closed', 'voided')"),
    )
    op.create_index(
        "uq_hazard_open_suspicion",
        "hazard",
        ["asset_id", "item_code"],
        unique=True,
        schema="inspection",
        postgresql_where=sa.text("suspected AND status NOT IN ('closed', 'voided')"),
    )


def upgrade_hazard_step() -> None:
    op.create_table(
        "hazard_step",
        sa.Column("hazard_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("person_id", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("photo_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("hazard_id", "version", name=op.f("pk_hazard_step")),
        schema="inspection",
        info={"holds": "every step of a hazard: who, when"},
    )


def upgrade_inspection_plan() -> None:
    op.create_table(
        "inspection_plan",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("visit_id", sa.String(length=64), nullable=False),
        sa.Column("last_done_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_inspection_plan")),
        schema="inspection",
        info={"holds": "next due date of each site and why"},
    )
    op.create_index(
        op.f("ix_inspection_plan_customer_id"), "inspection_plan", ["customer_id"], unique=False, schema="inspection"
    )
    op.create_index(
        op.f("ix_inspection_plan_due_on_site_id"),
        "inspection_plan",
        ["due_on", "site_id"],
        unique=False,
        schema="inspection",
    )


def upgrade_photo() -> None:
    op.create_table(
        "photo",
        sa.Column("photo_id", sa.String(length=64), nullable=False),
        sa.Column("hazard_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("jpeg", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", name=op.f("pk_photo")),
        schema="inspection",
        info={"holds": "evidence photos, without their metadata"},
    )
    op.create_index(op.f("ix_photo_hazard_id"), "photo", ["hazard_id"], unique=False, schema="inspection")


def upgrade_visit() -> None:
    op.create_table(
        "visit",
        sa.Column("visit_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("inspector_ids", postgresql.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("companion", sa.String(length=200), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_visit")),
        schema="inspection",
        info={"holds": "visits submitted"},
    )
    op.create_index(op.f("ix_visit_customer_id"), "visit", ["customer_id"], unique=False, schema="inspection")


def upgrade_visit_item() -> None:
    op.create_table(
        "visit_item",
        sa.Column("visit_id", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("item_code", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.String(length=64), nullable=True),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("grade", sa.String(length=10), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("hazard_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("visit_id", "ordinal", name=op.f("pk_visit_item")),
        schema="inspection",
        info={"holds": "items of a visit with their measured values"},
    )


def downgrade() -> None:
    op.drop_table("visit_item", schema="inspection")
    op.drop_table("visit", schema="inspection")
    op.drop_table("photo", schema="inspection")
    op.drop_table("inspection_plan", schema="inspection")
    op.drop_table("hazard_step", schema="inspection")
    op.drop_table("hazard", schema="inspection")
    op.drop_table("equipment_state", schema="inspection")
