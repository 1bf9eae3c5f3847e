"""Sandboxes say which life they follow, so that only who knows it carries on with them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; what older workers make follows the first."""
    op.add_column("sandboxes", sa.Column("life", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("sandboxes", "life")
