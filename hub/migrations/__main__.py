"""Write a new revision of one branch: `python -m hub.migrations BRANCH MESSAGE`."""

from __future__ import annotations

import sys

from alembic import command

from hub.bootstrap import build_hub
from hub.migrations import CORE, config, folders, import_core_tables, upgrade


def main() -> None:
    branch, message = sys.argv[1:3]
    hub = build_hub()
    folder = folders(hub)[CORE]
    if branch != CORE or any(folder.glob("*_0*.py")):
        upgrade(hub)
        folder = folders(hub)[branch]
    import_core_tables()
    folder.mkdir(exist_ok=True)
    count = len(list(folder.glob("*_0*.py"))) + 1
    first = count == 1
    settings = config(hub, branch)
    settings.attributes["first"] = first
    command.revision(
        settings,
        message=message,
        autogenerate=True,
        rev_id=f"{branch}_{count:04d}",
        head="base" if first else f"{branch}@head",
        branch_label=branch if first else None,
        version_path=str(folder),
    )


if __name__ == "__main__":
    main()
