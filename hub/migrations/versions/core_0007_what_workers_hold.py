"""Whose a batch is, which runs go on, and which failures last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_0007"
down_revision = "core_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("fence", sa.Integer(), server_default="0", nullable=False))
    op.add_column("run", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("lasts", sa.Boolean(), server_default=sa.false(), nullable=False))
    # Nobody works while the schema changes: what is said to go on has ended, and the next sweep says so.
    op.execute("UPDATE run SET lease_until = started_at WHERE status = 'running'")
    op.create_index("ix_run_lease_until", "run", ["lease_until"], unique=False)
    op.create_index("ix_run_connection_id_lasts", "run", ["connection_id", "lasts"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_run_connection_id_lasts", table_name="run")
    op.drop_index("ix_run_lease_until", table_name="run")
    op.drop_column("run", "lasts")
    op.drop_column("run", "lease_until")
    op.drop_column("batch", "fence")
