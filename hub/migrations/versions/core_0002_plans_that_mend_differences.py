"""Plans that mend differences

Revision ID: core_0002
Revises: core_0001
"""

import sqlalchemy as sa
from alembic import op

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plan", sa.Column("anew", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("plan", "anew")
