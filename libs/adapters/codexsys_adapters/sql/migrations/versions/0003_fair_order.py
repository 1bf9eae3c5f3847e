"""Quotas of tenants, and the place of an attempt in its tenant's order."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Add them; what waits keeps its place."""
    op.add_column("tenants", sa.Column("weight", sa.Double(), nullable=False, server_default="1"))
    op.add_column("tenants", sa.Column("max_running", sa.Integer(), nullable=True))
    op.add_column("tenants", sa.Column("max_queued", sa.Integer(), nullable=True))
    op.add_column("attempts", sa.Column("turn_at", TIME, nullable=True))
    op.execute("UPDATE attempts SET turn_at = due_at WHERE state <> 'ended'")
    op.create_index("ix_attempts_turn", "attempts", ["state", "tenant_id", "turn_at", "id"])
    op.drop_index("ix_attempts_tenant_queue", table_name="attempts")


def downgrade() -> None:
    """Remove them."""
    op.create_index("ix_attempts_tenant_queue", "attempts", ["tenant_id", "state", "due_at", "id"])
    op.drop_index("ix_attempts_turn", table_name="attempts")
    op.drop_column("attempts", "turn_at")
    for name in ("max_queued", "max_running", "weight"):
        op.drop_column("tenants", name)
