"""Expand: a column that older code does not know, and need not fill."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Make people's addresses."""
    op.add_column("people", sa.Column("email", sa.Text, nullable=True))
