"""What Alembic runs for every migration: on the engine it is handed, one transaction for all."""

from __future__ import annotations

from typing import Any

from alembic import context

from hub.core.columns import ScaledInteger, UtcDateTime
from hub.core.database import Base


def plain_type(kind: str, item: Any, autogen: Any) -> Any:
    """Revisions say what is in the database, in SQLAlchemy's own types: they outlive our classes."""
    if kind == "type" and isinstance(item, ScaledInteger):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


engine = context.config.attributes["engine"]
# A write from the start: to begin reading and then wait for the writer is refused at once on SQLite.
with engine.execution_options(hub_writes=True).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=plain_type,
        compare_type=False,
        # SQLite cannot alter a table in place; a branch's first revision only creates.
        render_as_batch=not context.config.attributes.get("first", False),
        version_table=context.config.attributes["version_table"],
        # A plugin that is not enabled keeps its tables; no other branch may drop them.
        include_name=lambda name, kind, parents: kind != "table" or name in Base.metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
