"""Scopes of keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WORD = sa.String(8).with_variant(
    mysql.VARCHAR(8, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    """Add them; keys that there are may do all, as before."""
    op.add_column("api_keys", sa.Column("scope", WORD, nullable=False, server_default="admin"))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("api_keys", "scope")
