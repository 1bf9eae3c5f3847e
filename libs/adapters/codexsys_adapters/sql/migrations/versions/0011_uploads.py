"""Places for zips that are sent to the store directly."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MYSQL = ("mysql", "mariadb")
ID = sa.CHAR(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), *_MYSQL)
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL)


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "uploads",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("filename", sa.String(200), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("task_id", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index("ix_uploads_age", "uploads", ["created_at"])
    op.create_index("ix_uploads_unused", "uploads", ["tenant_id", "task_id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("uploads")
