"""Initial schema."""

from alembic import op

from services.portrait.tables import metadata

revision, down_revision, branch_labels, depends_on = "portrait_0001", None, None, None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
