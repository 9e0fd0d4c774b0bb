"""Fails where a church has the same address twice."""

from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Make one address for one person."""
    op.create_index("people_email", "people", ["email"], unique=True)
