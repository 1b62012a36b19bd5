"""Messages with fewer indexes and no foreign keys."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "notify_0007", "notify_0006", None, None


def upgrade() -> None:
    upgrade_attempt()
    upgrade_delivery()
    upgrade_delivery_account()


def upgrade_attempt() -> None:
    op.drop_constraint(op.f("fk_attempt_delivery_id"), "attempt", schema="notify", type_="foreignkey")


def upgrade_delivery() -> None:
    op.drop_index(op.f("ix_delivery_person_id"), table_name="delivery", schema="notify")
    op.drop_index(op.f("ix_delivery_provider_message_id"), table_name="delivery", schema="notify")
    op.drop_index(op.f("ix_delivery_subject_id"), table_name="delivery", schema="notify")
    op.drop_constraint(op.f("uq_delivery_happening_person_id_channel"), "delivery", schema="notify", type_="unique")
    op.create_index(
        "ix_delivery_provider_reference",
        "delivery",
        ["provider_message_id"],
        unique=False,
        schema="notify",
        postgresql_where=sa.text("provider_message_id IS NOT NULL"),
    )
    op.create_index("ix_delivery_subject", "delivery", ["subject_id", "person_id"], unique=False, schema="notify")


def upgrade_delivery_account() -> None:
    op.drop_constraint(op.f("fk_delivery_account_delivery_id"), "delivery_account", schema="notify", type_="foreignkey")


def downgrade() -> None:
    downgrade_delivery_account()
    downgrade_delivery()
    downgrade_attempt()


def downgrade_delivery_account() -> None:
    op.create_foreign_key(
        op.f("fk_delivery_account_delivery_id"),
        "delivery_account",
        "delivery",
        ["delivery_id"],
        ["delivery_id"],
        source_schema="notify",
        referent_schema="notify",
        ondelete="CASCADE",
    )


def downgrade_delivery() -> None:
    op.drop_index("ix_delivery_subject", table_name="delivery", schema="notify")
    op.drop_index(
        "ix_delivery_provider_reference",
        table_name="delivery",
        schema="notify",
        postgresql_where=sa.text("provider_message_id IS NOT NULL"),
    )
    op.create_unique_constraint(
        op.f("uq_delivery_happening_person_id_channel"),
        "delivery",
        ["happening", "person_id", "channel"],
        schema="notify",
        postgresql_nulls_not_distinct=False,
    )
    op.create_index(op.f("ix_delivery_subject_id"), "delivery", ["subject_id"], unique=False, schema="notify")
    op.create_index(
        op.f("ix_delivery_provider_message_id"), "delivery", ["provider_message_id"], unique=False, schema="notify"
    )
    op.create_index(op.f("ix_delivery_person_id"), "delivery", ["person_id"], unique=False, schema="notify")


def downgrade_attempt() -> None:
    op.create_foreign_key(
        op.f("fk_attempt_delivery_id"),
        "attempt",
        "delivery",
        ["delivery_id"],
        ["delivery_id"],
        source_schema="notify",
        referent_schema="notify",
        ondelete="CASCADE",
    )
