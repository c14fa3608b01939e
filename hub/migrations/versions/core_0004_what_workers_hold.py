"""What workers hold, what a full read showed, what an answer said, and the past being read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_0004"
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
    op.add_column("link", sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("signed_out", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("connection", sa.Column("began_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE connection SET began_at = created_at WHERE pulled_at IS NOT NULL OR state <> 'paused'")
    op.create_table(
        "backfill",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
        sa.UniqueConstraint("connection_id", "kind", name=op.f("uq_backfill_connection_id_kind")),
    )


def downgrade() -> None:
    op.drop_table("backfill")
    op.drop_column("connection", "began_at")
    op.drop_column("connection", "signed_out")
    op.drop_column("link", "shown_at")
    op.drop_column("attempt", "answer")
    for name in ("vanished_are_gone", "vanished", "full_read_at", "full_read"):
        op.drop_column("stream_cursor", name)
    op.drop_column("link", "full_read")
    op.drop_index("ix_run_connection_id_lasts", table_name="run")
    op.drop_index("ix_run_lease_until", table_name="run")
    op.drop_column("run", "lasts")
    op.drop_column("run", "lease_until")
    op.drop_column("batch", "fence")
