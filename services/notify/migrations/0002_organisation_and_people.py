"""Organisation and people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision, branch_labels, depends_on = "notify_0002", "notify_0001", None, None


def upgrade() -> None:
    upgrade_account()
    upgrade_customer()
    upgrade_directory_change()
    upgrade_duty()
    upgrade_engagement()
    upgrade_handover()
    upgrade_holding()
    upgrade_leave()
    upgrade_person()
    upgrade_post()
    upgrade_post_deputy()
    upgrade_unit()
    upgrade_contact()


def upgrade_account() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("service_area_id", sa.String(length=64), nullable=False),
        sa.Column("voltage_kv", sa.Numeric(precision=8, scale=2), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        schema="notify",
    )
    op.create_index(op.f("ix_account_customer_id"), "account", ["customer_id"], unique=False, schema="notify")


def upgrade_customer() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_account", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("importance_grade", sa.String(length=20), server_default="none", nullable=False),
        sa.Column("classes", postgresql.ARRAY(sa.String(length=40)), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("unowned_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "industry_classes", postgresql.ARRAY(sa.String(length=5)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer")),
        schema="notify",
    )


def upgrade_directory_change() -> None:
    op.create_table(
        "directory_change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("what", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_directory_change")),
        schema="notify",
    )


def upgrade_duty() -> None:
    op.create_table(
        "duty",
        sa.Column("duty_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("duty_id", name=op.f("pk_duty")),
        schema="notify",
    )
    op.create_index(op.f("ix_duty_unit_id"), "duty", ["unit_id"], unique=False, schema="notify")


def upgrade_engagement() -> None:
    op.create_table(
        "engagement",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("engagement_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column(
            "account_ids", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("person_id", "engagement_id", name=op.f("pk_engagement")),
        schema="notify",
    )
    op.create_index(op.f("ix_engagement_customer_id"), "engagement", ["customer_id"], unique=False, schema="notify")


def upgrade_handover() -> None:
    op.create_table(
        "handover",
        sa.Column("handover_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.String(length=64), nullable=False),
        sa.Column("from_person_id", sa.String(length=64), nullable=False),
        sa.Column("to_person_id", sa.String(length=64), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("handover_id", name=op.f("pk_handover")),
        schema="notify",
    )
    op.create_index(op.f("ix_handover_post_id"), "handover", ["post_id"], unique=False, schema="notify")


def upgrade_holding() -> None:
    op.create_table(
        "holding",
        sa.Column("post_id", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acting_for", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("post_id", "ordinal", name=op.f("pk_holding")),
        schema="notify",
    )
    op.create_index(op.f("ix_holding_person_id"), "holding", ["person_id"], unique=False, schema="notify")


def upgrade_leave() -> None:
    op.create_table(
        "leave",
        sa.Column("leave_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deputy_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("entered_by", sa.String(length=64), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("leave_id", name=op.f("pk_leave")),
        schema="notify",
    )
    op.create_index(op.f("ix_leave_person_id"), "leave", ["person_id"], unique=False, schema="notify")


def upgrade_person() -> None:
    op.create_table(
        "person",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("name_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("grants_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("grants_digest", sa.LargeBinary(), nullable=True),
        sa.Column("confirm_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_person")),
        schema="notify",
    )


def upgrade_post() -> None:
    op.create_table(
        "post",
        sa.Column("post_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("unit_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column(
            "customer_ids", postgresql.ARRAY(sa.String(length=64)), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("grants_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_post")),
        schema="notify",
    )


def upgrade_post_deputy() -> None:
    op.create_table(
        "post_deputy",
        sa.Column("post_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("post_id", "person_id", name=op.f("pk_post_deputy")),
        schema="notify",
    )


def upgrade_unit() -> None:
    op.create_table(
        "unit",
        sa.Column("unit_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_unit")),
        schema="notify",
    )


def upgrade_contact() -> None:
    op.create_table(
        "contact",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(), nullable=False),
        sa.Column("value_cipher", sa.LargeBinary(), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said_by", sa.String(length=64), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unusable_because", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["notify.person.person_id"], name=op.f("fk_contact_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", "kind", "source", name=op.f("pk_contact")),
        schema="notify",
    )
    op.create_index(
        op.f("ix_contact_kind_blind_index"), "contact", ["kind", "blind_index"], unique=False, schema="notify"
    )


def downgrade() -> None:
    op.drop_table("contact", schema="notify")
    op.drop_table("unit", schema="notify")
    op.drop_table("post_deputy", schema="notify")
    op.drop_table("post", schema="notify")
    op.drop_table("person", schema="notify")
    op.drop_table("leave", schema="notify")
    op.drop_table("holding", schema="notify")
    op.drop_table("handover", schema="notify")
    op.drop_table("engagement", schema="notify")
    op.drop_table("duty", schema="notify")
    op.drop_table("directory_change", schema="notify")
    op.drop_table("customer", schema="notify")
    op.drop_table("account", schema="notify")
