"""Tables of the kernel."""

from services.kernel.revisions import kernel_0001

revision, down_revision, branch_labels, depends_on = "inspection_0001", None, None, None


def upgrade() -> None:
    kernel_0001.upgrade("inspection")


def downgrade() -> None:
    kernel_0001.downgrade("inspection")
