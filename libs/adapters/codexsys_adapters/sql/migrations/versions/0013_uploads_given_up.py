"""Uploads whose zip was refused, and those that their owners gave up."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Add the columns."""
    op.add_column("uploads", sa.Column("refused_at", TIME, nullable=True))
    op.add_column("uploads", sa.Column("deleted_at", TIME, nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("uploads", "deleted_at")
    op.drop_column("uploads", "refused_at")
