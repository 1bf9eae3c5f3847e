"""An index for a task's place in its tenant's queue."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.create_index("ix_attempts_tenant_queue", "attempts", ["tenant_id", "state", "due_at", "id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_attempts_tenant_queue", table_name="attempts")
