"""Initial schema."""

from alembic import op

from services.notify.tables import metadata

revision, down_revision, branch_labels, depends_on = "notify_0001", None, None, None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
