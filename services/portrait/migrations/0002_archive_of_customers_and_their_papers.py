"""Archive of customers and their papers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0002", "portrait_0001", None, None


def upgrade() -> None:
    upgrade_account()
    upgrade_account_terms()
    upgrade_application()
    upgrade_assignment()
    upgrade_bill()
    upgrade_customer()
    upgrade_meter_change()
    upgrade_register_reading()
    upgrade_saved_filter()
    upgrade_search_term()
    upgrade_site()
    upgrade_usage_point()
    upgrade_violation()


def upgrade_account() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("service_area_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        schema="portrait",
    )
    op.create_index(op.f("ix_account_customer_id"), "account", ["customer_id"], unique=False, schema="portrait")


def upgrade_account_terms() -> None:
    op.create_table(
        "account_terms",
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True, comment="first day no longer in force; open if null"),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("industry_class", sa.String(length=8), nullable=False),
        sa.Column("supply_nature", sa.String(length=64), nullable=False),
        sa.Column("voltage_kv", sa.Numeric(precision=6, scale=2), nullable=False),
        sa.Column("contract_capacity_kva", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("operating_capacity_kva", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("tariff_type", sa.String(length=20), nullable=False),
        sa.Column("basic_charge_method", sa.String(length=20), nullable=False),
        sa.Column("contract_demand_kw", sa.Numeric(precision=14, scale=6), nullable=True),
        sa.Column("purchase_mode", sa.String(length=20), nullable=False),
        sa.Column("importance_grade", sa.String(length=20), nullable=False),
        sa.Column("dual_supply", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "valid_from", name=op.f("pk_account_terms")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_account_terms_customer_id"), "account_terms", ["customer_id"], unique=False, schema="portrait"
    )


def upgrade_application() -> None:
    op.create_table(
        "application",
        sa.Column("application_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("stage", sa.String(length=30), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_application")),
        schema="portrait",
    )
    op.create_index(op.f("ix_application_customer_id"), "application", ["customer_id"], unique=False, schema="portrait")


def upgrade_assignment() -> None:
    op.create_table(
        "assignment",
        sa.Column("assignment_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("assignee_person_id", sa.String(length=64), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("filter_id", sa.String(length=64), nullable=False),
        sa.Column("assigned_by", sa.String(length=64), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_assignment")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_assignment_assignee_person_id"), "assignment", ["assignee_person_id"], unique=False, schema="portrait"
    )
    op.create_index(op.f("ix_assignment_customer_id"), "assignment", ["customer_id"], unique=False, schema="portrait")


def upgrade_bill() -> None:
    op.create_table(
        "bill",
        sa.Column("bill_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=True),
        sa.Column("period_to", sa.Date(), nullable=True),
        sa.Column("energy_kwh", sa.Numeric(precision=14, scale=6), nullable=True),
        sa.Column("amount_yuan", sa.Numeric(precision=16, scale=2), nullable=True),
        sa.Column("late_fee_yuan", sa.Numeric(precision=16, scale=2), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("reissue_of", sa.String(length=64), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False, comment="may be known before the bill itself"),
        sa.PrimaryKeyConstraint("bill_id", name=op.f("pk_bill")),
        schema="portrait",
    )
    op.create_index(op.f("ix_bill_customer_id"), "bill", ["customer_id"], unique=False, schema="portrait")


def upgrade_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("former_names", sa.ARRAY(sa.String(length=200)), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("key_account", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer")),
        schema="portrait",
    )


def upgrade_meter_change() -> None:
    op.create_table(
        "meter_change",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("new_meter_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("old_meter_id", sa.String(length=64), nullable=False),
        sa.Column("old_active_import_kwh", sa.Numeric(precision=14, scale=6), nullable=False),
        sa.Column("new_active_import_kwh", sa.Numeric(precision=14, scale=6), nullable=False),
        sa.Column("new_multiplier", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "changed_at", "new_meter_id", name=op.f("pk_meter_change")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_meter_change_customer_id"), "meter_change", ["customer_id"], unique=False, schema="portrait"
    )


def upgrade_register_reading() -> None:
    op.create_table(
        "register_reading",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("meter_id", sa.String(length=64), nullable=False),
        sa.Column("register_name", sa.String(length=20), nullable=False),
        sa.Column("tou_period", sa.String(length=20), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("value", sa.Numeric(precision=14, scale=6), nullable=False, comment="before the multiplier"),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("demand_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "usage_point_id", "meter_id", "register_name", "tou_period", "frozen_at", name=op.f("pk_register_reading")
        ),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_register_reading_customer_id"), "register_reading", ["customer_id"], unique=False, schema="portrait"
    )


def upgrade_saved_filter() -> None:
    op.create_table(
        "saved_filter",
        sa.Column("filter_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("owned_by", sa.String(length=64), nullable=False),
        sa.Column("criteria", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("filter_id", name=op.f("pk_saved_filter")),
        schema="portrait",
    )
    op.create_index(op.f("ix_saved_filter_owned_by"), "saved_filter", ["owned_by"], unique=False, schema="portrait")


def upgrade_search_term() -> None:
    op.create_table(
        "search_term",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("term", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "kind", "term", name=op.f("pk_search_term")),
        schema="portrait",
    )
    op.create_index(
        "ix_search_term_term",
        "search_term",
        ["term"],
        unique=False,
        schema="portrait",
        postgresql_ops={"term": "varchar_pattern_ops"},
    )


def upgrade_site() -> None:
    op.create_table(
        "site",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("asset_ids", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_site")),
        schema="portrait",
    )
    op.create_index(op.f("ix_site_customer_id"), "site", ["customer_id"], unique=False, schema="portrait")


def upgrade_usage_point() -> None:
    op.create_table(
        "usage_point",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_ids", sa.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("meter_id", sa.String(length=64), nullable=True),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", name=op.f("pk_usage_point")),
        schema="portrait",
    )
    op.create_index(op.f("ix_usage_point_customer_id"), "usage_point", ["customer_id"], unique=False, schema="portrait")


def upgrade_violation() -> None:
    op.create_table(
        "violation",
        sa.Column("violation_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("penalty_yuan", sa.Numeric(precision=16, scale=2), nullable=False),
        sa.PrimaryKeyConstraint("violation_id", name=op.f("pk_violation")),
        schema="portrait",
    )
    op.create_index(op.f("ix_violation_customer_id"), "violation", ["customer_id"], unique=False, schema="portrait")


def downgrade() -> None:
    op.drop_table("violation", schema="portrait")
    op.drop_table("usage_point", schema="portrait")
    op.drop_table("site", schema="portrait")
    op.drop_table("search_term", schema="portrait")
    op.drop_table("saved_filter", schema="portrait")
    op.drop_table("register_reading", schema="portrait")
    op.drop_table("meter_change", schema="portrait")
    op.drop_table("customer", schema="portrait")
    op.drop_table("bill", schema="portrait")
    op.drop_table("assignment", schema="portrait")
    op.drop_table("application", schema="portrait")
    op.drop_table("account_terms", schema="portrait")
    op.drop_table("account", schema="portrait")
