"""Views of customers, sites and assets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "inspection_0002", "inspection_0001", None, None


def upgrade() -> None:
    upgrade_asset()
    upgrade_customer()
    upgrade_site()


def upgrade_asset() -> None:
    op.create_table(
        "asset",
        sa.Column("asset_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_asset")),
        schema="inspection",
        info={"holds": "equipment of the sites"},
    )
    op.create_index(op.f("ix_asset_customer_id"), "asset", ["customer_id"], unique=False, schema="inspection")


def upgrade_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("importance_grade", sa.String(length=20), nullable=False),
        sa.Column("highest_kv", sa.Numeric(precision=10, scale=3), nullable=False),
        sa.Column("classes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("attention_level", sa.SmallInteger(), nullable=False),
        sa.Column("urgent_since", sa.Date(), nullable=True),
        sa.Column("cycle_factor", sa.Numeric(precision=6, scale=4), nullable=False),
        sa.Column("profile_version", sa.Numeric(precision=20, scale=0), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer")),
        schema="inspection",
        info={"holds": "view of the archive: grade, classes, attention"},
    )


def upgrade_site() -> None:
    op.create_table(
        "site",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_site")),
        schema="inspection",
        info={"holds": "view of the archive"},
    )
    op.create_index(op.f("ix_site_customer_id"), "site", ["customer_id"], unique=False, schema="inspection")


def downgrade() -> None:
    op.drop_table("site", schema="inspection")
    op.drop_table("customer", schema="inspection")
    op.drop_table("asset", schema="inspection")
