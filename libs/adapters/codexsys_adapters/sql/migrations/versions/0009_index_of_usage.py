"""The index of a tenant's tasks holds all that their usage is summed up by."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the wider one before the other goes, so that lists have one at any time."""
    op.create_index("ix_tasks_of_tenant", "tasks", ["tenant_id", "id", "created_at", "verdict"])
    op.drop_index("ix_tasks_tenant", table_name="tasks")


def downgrade() -> None:
    """Go back to the narrow one."""
    op.create_index("ix_tasks_tenant", "tasks", ["tenant_id", "id"])
    op.drop_index("ix_tasks_of_tenant", table_name="tasks")
