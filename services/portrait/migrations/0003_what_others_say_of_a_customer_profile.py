"""What others say of a customer, profile."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "portrait_0003", "portrait_0002", None, None


def upgrade() -> None:
    upgrade_customer_outage()
    upgrade_open_hazard()
    upgrade_outage_part()
    upgrade_profile()
    upgrade_service_contact()


def upgrade_customer_outage() -> None:
    op.create_table(
        "customer_outage",
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("set_version", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", "customer_id", name=op.f("pk_customer_outage")),
        schema="portrait",
    )


def upgrade_open_hazard() -> None:
    op.create_table(
        "open_hazard",
        sa.Column("hazard_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column(
            "status",
            sa.String(length=20),
            nullable=False,
            comment="closed and voided ones stay, so that a late step cannot reopen",
        ),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("finding", sa.String(length=200), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hazard_id", name=op.f("pk_open_hazard")),
        schema="portrait",
    )
    op.create_index(op.f("ix_open_hazard_customer_id"), "open_hazard", ["customer_id"], unique=False, schema="portrait")


def upgrade_outage_part() -> None:
    op.create_table(
        "outage_part",
        sa.Column("set_id", sa.String(length=64), nullable=False),
        sa.Column("set_version", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("set_id", "set_version", "part", name=op.f("pk_outage_part")),
        schema="portrait",
    )


def upgrade_profile() -> None:
    op.create_table(
        "profile",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column(
            "version", sa.BigInteger(), nullable=False, comment="goes on rising when a removed customer comes back"
        ),
        sa.Column(
            "body",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="as last published, without version; null when removed",
        ),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_account", sa.Boolean(), nullable=False),
        sa.Column("classes", sa.ARRAY(sa.String(length=30)), nullable=False),
        sa.Column("attention_level", sa.Integer(), nullable=False),
        sa.Column("cycle_factor", sa.Numeric(precision=4, scale=3), nullable=False),
        sa.Column(
            "explanation",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="indicators, verdicts and effects behind the classes",
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_profile")),
        schema="portrait",
    )


def upgrade_service_contact() -> None:
    op.create_table(
        "service_contact",
        sa.Column(
            "contact_id", sa.String(length=80), nullable=False, comment="ticket:, conversation: or visit: and the id"
        ),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complaint", sa.Boolean(), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=False, comment="answered later than promised"),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_service_contact")),
        schema="portrait",
    )
    op.create_index(
        op.f("ix_service_contact_customer_id"), "service_contact", ["customer_id"], unique=False, schema="portrait"
    )


def downgrade() -> None:
    op.drop_table("service_contact", schema="portrait")
    op.drop_table("profile", schema="portrait")
    op.drop_table("outage_part", schema="portrait")
    op.drop_table("open_hazard", schema="portrait")
    op.drop_table("customer_outage", schema="portrait")
