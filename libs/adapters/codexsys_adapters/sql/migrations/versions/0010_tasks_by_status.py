"""A tenant's tasks by status, newest first: what lists filter and count."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_tasks_by_status", "tasks", ["tenant_id", "status", "id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_tasks_by_status", table_name="tasks")
