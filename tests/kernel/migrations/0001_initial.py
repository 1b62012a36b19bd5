"""Initial schema of the echo service."""

import sys

from alembic import op

revision, down_revision, branch_labels, depends_on = "echo_0001", None, None, None


def upgrade() -> None:
    main = sys.modules["__main__"]
    metadata = getattr(main, "metadata", None) or sys.modules["tests.kernel.echo"].metadata
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError
