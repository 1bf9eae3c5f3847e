"""What retention and deletion note, and which tasks need what others keep."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_MYSQL = ("mysql", "mariadb")
ID = sa.CHAR(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), *_MYSQL)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL)
_NOTED = ("code_gone_at", "files_gone_at", "deleted_at")


def upgrade() -> None:
    """Add them."""
    for name in _NOTED:
        op.add_column("tasks", sa.Column(name, TIME, nullable=True))
    op.create_index("ix_tasks_code", "tasks", ["code_gone_at", "finished_at"])
    op.create_index("ix_tasks_files", "tasks", ["files_gone_at", "finished_at"])
    op.add_column("log_streams", sa.Column("cleared_at", TIME, nullable=True))
    op.create_index("ix_log_streams_cleared", "log_streams", ["cleared_at", "sealed_at"])
    op.create_index("ix_idempotency_keys_age", "idempotency_keys", ["created_at"])
    op.create_table(
        "task_needs",
        sa.Column("task_id", ID, nullable=False),
        sa.Column("needed_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "needed_id"),
        **OPTIONS,
    )
    op.create_index("ix_task_needs_needed", "task_needs", ["needed_id", "task_id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("task_needs")
    op.drop_index("ix_idempotency_keys_age", table_name="idempotency_keys")
    op.drop_index("ix_log_streams_cleared", table_name="log_streams")
    op.drop_column("log_streams", "cleared_at")
    op.drop_index("ix_tasks_files", table_name="tasks")
    op.drop_index("ix_tasks_code", table_name="tasks")
    for name in _NOTED:
        op.drop_column("tasks", name)
