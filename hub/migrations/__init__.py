"""The schema and its history: Alembic, one branch for the core and one for each plugin with tables.

A plugin names its folder by the `migrations` hook ("package:folder"); its first revision carries the plugin's name as
branch label. `python -m hub.migrations BRANCH MESSAGE` writes a new revision from what the models say.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.core.database import Base
from hub.core.errors import SetupError

if TYPE_CHECKING:
    from hub.bootstrap import Hub

HERE = Path(__file__).parent
CORE = "core"
NEWEST = "head"


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


def config(hub: Hub, branch: str = CORE) -> Config:
    """Alembic's configuration for one branch of this hub's database.

    Each branch notes where it stands in a table of its own, so that the rest goes on when a plugin is switched off
    or gone, and its revisions with it.
    """
    settings = Config()
    settings.set_main_option("script_location", str(HERE))
    settings.set_main_option("path_separator", "newline")
    settings.set_main_option("version_locations", str(folders(hub)[branch]))
    settings.attributes["engine"] = hub.database.engine
    settings.attributes["version_table"] = version_table(branch)
    return settings


def version_table(branch: str) -> str:
    """The table in which a branch notes its revision."""
    return "alembic_version" if branch == CORE else f"alembic_version_{branch}"


def upgrade(hub: Hub, to: Mapping[str, str] | None = None) -> None:
    """Bring every branch to its newest revision, or to the one that `to` names for it.

    The core comes first, because plugins are found in its tables.
    """
    wanted = to or {}
    import_core_tables()
    command.upgrade(config(hub), wanted.get(CORE, NEWEST))
    with hub.database.read() as session:
        hub.plugins.refresh(session)
    for branch in folders(hub):
        if branch != CORE:
            command.upgrade(config(hub, branch), wanted.get(branch, NEWEST))


def revisions(hub: Hub) -> dict[str, str]:
    """Where each branch stands in the database."""
    with hub.database.engine.connect() as connection:
        found = {branch: _context(connection, branch).get_current_revision() for branch in folders(hub)}
    return {branch: revision for branch, revision in found.items() if revision}


def knows(hub: Hub, branch: str, revision: str) -> bool:
    """Whether a revision of a branch is one that this version of the program, or an earlier one, came with."""
    return any(
        script.revision == revision for script in ScriptDirectory.from_config(config(hub, branch)).walk_revisions()
    )


def check(hub: Hub) -> list[str]:
    """What keeps the database from being as the program needs it; empty when all is well."""
    import_core_tables()
    if _is_behind(hub, CORE):
        return ["The schema is behind. Run `hub db upgrade`."]
    with hub.read():
        pass  # so that the plugins are those of the present generation
    behind = [branch for branch in folders(hub) if _is_behind(hub, branch)]
    if behind:
        return [f"The schema is behind for {', '.join(behind)}. Run `hub db upgrade`."]
    tables = _tables_in_use(hub)
    options = {"compare_type": False, "include_object": lambda item, name, kind, *_: kind != "table" or name in tables}
    with hub.database.engine.connect() as connection:
        return [
            f"The schema differs from the program: {difference[0]} {getattr(difference[1], 'name', difference[1])}."
            for difference in compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
            if isinstance(difference, tuple)
        ]


def _is_behind(hub: Hub, branch: str) -> bool:
    with hub.database.engine.connect() as connection:
        heads = _context(connection, branch).get_current_heads()
    return set(ScriptDirectory.from_config(config(hub, branch)).get_heads()) != set(heads)


def _context(connection: Connection, branch: str) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": version_table(branch)})


def _tables_in_use(hub: Hub) -> set[str]:
    """The core's tables and the enabled plugins', not those of plugins that are only imported or left some behind."""
    dict(hub.kinds)  # a plugin with tables defines them when it is asked for its kinds
    owners = ("hub.", *(f"{module.__name__}." for module in hub.plugins.modules.values()))
    mappers = Base.registry.mappers
    return {mapper.local_table.description for mapper in mappers if f"{mapper.class_.__module__}.".startswith(owners)}


def import_core_tables() -> None:
    """Load every module of the hub that defines tables, so that the metadata is complete."""
    import hub.access.models
    import hub.core.audit
    import hub.core.core_kinds
    import hub.core.rates.models
    import hub.notify.models
    import hub.plugin_host
    import hub.sync.models  # noqa: F401
