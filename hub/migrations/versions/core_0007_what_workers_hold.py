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
    op.add_column("link", sa.Column("full_read", sa.Integer(), server_default="0", nullable=False))
    op.add_column("stream_cursor", sa.Column("full_read", sa.Integer(), server_default="0", nullable=False))
    op.add_column("stream_cursor", sa.Column("full_read_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("stream_cursor", sa.Column("vanished", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "stream_cursor", sa.Column("vanished_are_gone", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("attempt", sa.Column("answer", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("attempt", "answer")
    for name in ("vanished_are_gone", "vanished", "full_read_at", "full_read"):
        op.drop_column("stream_cursor", name)
    op.drop_column("link", "full_read")
    op.drop_index("ix_run_connection_id_lasts", table_name="run")
    op.drop_index("ix_run_lease_until", table_name="run")
    op.drop_column("run", "lasts")
    op.drop_column("run", "lease_until")
    op.drop_column("batch", "fence")
