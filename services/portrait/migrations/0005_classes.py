"""Classes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0005", "portrait_0004", None, None


def upgrade() -> None:
    upgrade_analysis_line()
    upgrade_analysis_run()
    upgrade_arrears()
    upgrade_class_document()
    upgrade_class_facts()
    upgrade_class_membership()
    upgrade_class_percentile()


def upgrade_analysis_line() -> None:
    op.create_table(
        "analysis_line",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("classes_before", sa.ARRAY(sa.String(length=30)), nullable=False),
        sa.Column("classes_after", sa.ARRAY(sa.String(length=30)), nullable=False, comment="of a what-if"),
        sa.Column("segment", sa.Integer(), nullable=True, comment="of a segmentation"),
        sa.PrimaryKeyConstraint("run_id", "customer_id", name=op.f("pk_analysis_line")),
        schema="portrait",
    )


def upgrade_analysis_run() -> None:
    op.create_table(
        "analysis_run",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False, comment="what-if or segments"),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_analysis_run")),
        schema="portrait",
    )
    op.create_index(
        "ix_analysis_run_open",
        "analysis_run",
        ["requested_at"],
        unique=False,
        schema="portrait",
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def upgrade_arrears() -> None:
    op.create_table(
        "arrears",
        sa.Column("bill_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("amount_yuan", sa.Numeric(precision=16, scale=2), nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True, comment="may be known before the opening"),
        sa.PrimaryKeyConstraint("bill_id", name=op.f("pk_arrears")),
        schema="portrait",
    )
    op.create_index(op.f("ix_arrears_customer_id"), "arrears", ["customer_id"], unique=False, schema="portrait")


def upgrade_class_document() -> None:
    op.create_table(
        "class_document",
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="form of data/class_rules_demo.json",
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("confirmed_by IS DISTINCT FROM entered_by", name=op.f("ck_class_document_second_person")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_class_document")),
        schema="portrait",
    )


def upgrade_class_facts() -> None:
    op.create_table(
        "class_facts",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("supply_nature_score", sa.Float(), nullable=True),
        sa.Column("avg_monthly_kwh", sa.Float(), nullable=True),
        sa.Column("monthly_service_rate", sa.Float(), nullable=True),
        sa.Column("kwh_growth_rate", sa.Float(), nullable=True),
        sa.Column("complaint_rate", sa.Float(), nullable=True),
        sa.Column("violation_index", sa.Float(), nullable=True),
        sa.Column("penalty_bill_share", sa.Float(), nullable=True),
        sa.Column("avg_monthly_bill_yuan", sa.Float(), nullable=True),
        sa.Column("dual_supply", sa.Boolean(), nullable=False),
        sa.Column("capacity_application", sa.Boolean(), nullable=False, comment="within twelve months"),
        sa.Column("vetoes", sa.ARRAY(sa.String(length=40)), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_class_facts")),
        schema="portrait",
        comment="What the classes look at, one row a customer: read as columns over the whole population",
    )


def upgrade_class_membership() -> None:
    op.create_table(
        "class_membership",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("profile_version", sa.BigInteger(), nullable=False),
        sa.Column("class_name", sa.String(length=30), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False, comment="false when the customer left the class"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule_version", sa.String(length=80), nullable=False),
        sa.Column(
            "because",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="criteria that turned, with the values before and after",
        ),
        sa.PrimaryKeyConstraint("customer_id", "profile_version", "class_name", name=op.f("pk_class_membership")),
        schema="portrait",
    )


def upgrade_class_percentile() -> None:
    op.create_table(
        "class_percentile",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False, comment="the top share that the borders cut off"),
        sa.Column("thresholds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "population",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="indicator -> mean and standard deviation",
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_class_percentile")),
        schema="portrait",
    )


def downgrade() -> None:
    op.drop_table("class_percentile", schema="portrait")
    op.drop_table("class_membership", schema="portrait")
    op.drop_table("class_facts", schema="portrait")
    op.drop_table("class_document", schema="portrait")
    op.drop_table("arrears", schema="portrait")
    op.drop_table("analysis_run", schema="portrait")
    op.drop_table("analysis_line", schema="portrait")
