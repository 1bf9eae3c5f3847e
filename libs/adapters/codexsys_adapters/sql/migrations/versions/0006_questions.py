"""Questions of tasks."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
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
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL)


def upgrade() -> None:
    """Add them."""
    op.add_column("tasks", sa.Column("asked", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "questions",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("options", TEXT, nullable=False),
        sa.Column("default_answer", TEXT, nullable=True),
        sa.Column("answer", TEXT, nullable=True),
        sa.Column("answered_by", ID, nullable=True),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("answered_at", TIME, nullable=True),
        sa.Column("deadline", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("ix_questions_task", "questions", ["task_id", "asked_at"])
    op.create_index("ix_questions_open", "questions", ["answered_at", "deadline"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("questions")
    op.drop_column("tasks", "asked")
