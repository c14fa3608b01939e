"""The schema and its history: Alembic, one branch for the core and one for each plugin with tables.

A plugin names its folder by the `migrations` hook ("package:folder"); its first revision carries the plugin's name as
branch label and depends on the core's. `python -m hub.migrations BRANCH MESSAGE` writes a new revision from what the
models say.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.core.database import Base
from hub.core.errors import SetupError

if TYPE_CHECKING:
    from hub.bootstrap import Hub

HERE = Path(__file__).parent
CORE = "core"


def folders(hub: Hub) -> dict[str, Path]:
    """The folders with revisions, by branch: the core's and the enabled plugins'."""
    found = {CORE: HERE / "versions"}
    for plugin, location in hub.plugins.hooks.collect("migrations"):
        package, _, folder = str(location).partition(":")
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise SetupError(f"The plugin {plugin} names {location} for its migrations, which does not exist.")
        found[plugin] = Path(spec.origin).parent / folder
    return found


def config(hub: Hub) -> Config:
    """Alembic's configuration for this hub's database and plugins."""
    settings = Config()
    settings.set_main_option("script_location", str(HERE))
    settings.set_main_option("path_separator", "newline")
    settings.set_main_option("version_locations", "\n".join(str(path) for path in folders(hub).values()))
    settings.attributes["engine"] = hub.database.engine
    return settings


def upgrade(hub: Hub) -> None:
    """Bring every branch to its newest revision. The core comes first, because plugins are found in its tables."""
    import_core_tables()
    with hub.database.engine.connect() as connection:
        is_new = not MigrationContext.configure(connection).get_current_heads()
    if is_new:
        command.upgrade(config(hub), f"{CORE}@head")
    with hub.database.read() as session:
        hub.plugins.refresh(session)
    command.upgrade(config(hub), "heads")


def check(hub: Hub) -> list[str]:
    """What keeps the database from being as the program needs it; empty when all is well."""
    import_core_tables()
    settings = config(hub)
    heads = set(ScriptDirectory.from_config(settings).get_heads())
    with hub.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        behind = heads - set(context.get_current_heads())
        if behind:
            return [f"{len(behind)} branch(es) of the schema are behind. Run `hub db upgrade`."]
        enabled = {"core", *hub.plugins.modules}
        return [
            f"The schema differs from the program: {difference[0]} {getattr(difference[1], 'name', difference[1])}."
            for difference in compare_metadata(context, Base.metadata)
            if isinstance(difference, tuple) and "core" in enabled
        ]


def import_core_tables() -> None:
    """Load every module of the hub that defines tables, so that the metadata is complete."""
    import hub.access.models
    import hub.core.audit
    import hub.core.core_kinds
    import hub.core.rates.models
    import hub.plugin_host
    import hub.sync.models  # noqa: F401
