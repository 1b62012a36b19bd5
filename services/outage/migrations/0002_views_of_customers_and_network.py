"""Views of customers and network."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "outage_0002", "outage_0001", None, None


def upgrade() -> None:
    upgrade_customer()
    upgrade_feeder()
    upgrade_feeder_load()
    upgrade_feeder_section_point()
    upgrade_notice()
    upgrade_supply_alarm()
    upgrade_usage_point()
    upgrade_usage_point_feeder()


def upgrade_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_account", sa.Boolean(), nullable=False),
        sa.Column("importance_grade", sa.String(length=16), nullable=False),
        sa.Column("high_reliability", sa.Boolean(), nullable=False),
        sa.Column("attention_level", sa.SmallInteger(), nullable=False),
        sa.Column("mean_load_kw", sa.Numeric(precision=14, scale=6), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer")),
        schema="outage",
        info={"holds": "view of the archive"},
    )


def upgrade_feeder() -> None:
    op.create_table(
        "feeder",
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("substation_id", sa.String(length=64), nullable=False),
        sa.Column("area_id", sa.String(length=64), nullable=False),
        sa.Column("rating_kva", sa.Numeric(precision=14, scale=6), nullable=False),
        sa.Column("section_ids", postgresql.ARRAY(sa.String(length=64)), nullable=False),
        sa.PrimaryKeyConstraint("feeder_id", name=op.f("pk_feeder")),
        schema="outage",
        info={"holds": "view of the network"},
    )


def upgrade_feeder_load() -> None:
    op.create_table(
        "feeder_load",
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("load_kw", sa.Numeric(precision=14, scale=6), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feeder_id", name=op.f("pk_feeder_load")),
        schema="outage",
        info={"holds": "newest load of each feeder"},
    )


def upgrade_feeder_section_point() -> None:
    op.create_table(
        "feeder_section_point",
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("section_id", sa.String(length=64), nullable=False),
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("feeder_id", "section_id", "usage_point_id", name=op.f("pk_feeder_section_point")),
        schema="outage",
        info={"holds": "which usage points hang on which section"},
    )


def upgrade_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("outage_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("cause_type", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "customer_id", name=op.f("pk_notice")),
        schema="outage",
        info={"holds": "proof of messages about outages"},
    )
    op.create_index("ix_notice_outage_id", "notice", ["outage_id"], unique=False, schema="outage")


def upgrade_supply_alarm() -> None:
    op.create_table(
        "supply_alarm",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("back_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("usage_point_id", name=op.f("pk_supply_alarm")),
        schema="outage",
        info={"holds": "newest loss and return of supply told by a meter"},
    )


def upgrade_usage_point() -> None:
    op.create_table(
        "usage_point",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", name=op.f("pk_usage_point")),
        schema="outage",
        info={"holds": "view of the archive"},
    )
    op.create_index("ix_usage_point_customer_id", "usage_point", ["customer_id"], unique=False, schema="outage")


def upgrade_usage_point_feeder() -> None:
    op.create_table(
        "usage_point_feeder",
        sa.Column("usage_point_id", sa.String(length=64), nullable=False),
        sa.Column("feeder_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("usage_point_id", "feeder_id", name=op.f("pk_usage_point_feeder")),
        schema="outage",
        info={"holds": "feeders a usage point can be fed from"},
    )
    op.create_index(
        "ix_usage_point_feeder_customer_id", "usage_point_feeder", ["customer_id"], unique=False, schema="outage"
    )
    op.create_index(
        "ix_usage_point_feeder_feeder_id", "usage_point_feeder", ["feeder_id"], unique=False, schema="outage"
    )


def downgrade() -> None:
    op.drop_table("usage_point_feeder", schema="outage")
    op.drop_table("usage_point", schema="outage")
    op.drop_table("supply_alarm", schema="outage")
    op.drop_table("notice", schema="outage")
    op.drop_table("feeder_section_point", schema="outage")
    op.drop_table("feeder_load", schema="outage")
    op.drop_table("feeder", schema="outage")
    op.drop_table("customer", schema="outage")
