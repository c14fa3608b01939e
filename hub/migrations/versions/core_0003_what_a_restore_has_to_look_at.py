"""What a restore has to look at

Revision ID: core_0003
Revises: core_0002
"""

import sqlalchemy as sa
from alembic import op

revision = "core_0003"
down_revision = "core_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("only_there", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("connection", "only_there")
    op.drop_column("connection", "restored_at")
