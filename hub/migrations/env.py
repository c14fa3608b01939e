"""What Alembic runs for every migration: on the engine it is handed, one transaction for all."""

from __future__ import annotations

from alembic import context

from hub.core.database import Base

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=engine.dialect.name == "sqlite",
        # A plugin's revision must not touch what other branches own.
        include_name=lambda name, kind, parents: kind != "table" or name in Base.metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
