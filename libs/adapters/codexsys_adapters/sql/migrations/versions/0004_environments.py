"""Environments by name."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
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
    """Make the table."""
    op.create_table(
        "environments",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_environments_name"),
        **OPTIONS,
    )
    op.create_index("ix_environments_tenant", "environments", ["tenant_id", "id"], unique=False)
