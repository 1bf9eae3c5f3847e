"""What tenants spend in a day, how much that may be, and of which day and number each call is."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
ID = sa.CHAR(32).with_variant(
    mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
_SUMS = ("calls", "tokens", "micros", "reserved_tokens", "reserved_micros")


def upgrade() -> None:
    """Add them; calls that are under way are of no day."""
    op.create_table(
        "tenant_days",
        sa.Column("tenant_id", ID, primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        **OPTIONS,
    )
    op.add_column("tenants", sa.Column("max_usd_per_day", sa.Double(), nullable=True))
    op.add_column("tenants", sa.Column("max_tokens_per_day", sa.BigInteger(), nullable=True))
    op.add_column("reservations", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("reservations", sa.Column("tenant_id", ID, nullable=True))
    op.add_column("reservations", sa.Column("day", sa.Date(), nullable=True))


def downgrade() -> None:
    """Remove them."""
    for name in ("day", "tenant_id", "number"):
        op.drop_column("reservations", name)
    for name in ("max_tokens_per_day", "max_usd_per_day"):
        op.drop_column("tenants", name)
    op.drop_table("tenant_days")
