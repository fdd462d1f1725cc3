"""A verdict says what the fields of its action and evidence are in."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column. Of what was judged before nobody knows its units."""
    op.add_column("handrail_verdicts", sa.Column("units", sa.Text))
