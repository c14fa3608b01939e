"""Write a new revision of one branch: `python -m hub.migrations BRANCH MESSAGE`."""

from __future__ import annotations

import sys

from alembic import command

from hub.bootstrap import build_hub
from hub.migrations import CORE, config, folders, upgrade


def main() -> None:
    branch, message = sys.argv[1:3]
    hub = build_hub()
    upgrade(hub)
    folder = folders(hub)[branch]
    first = not any(folder.glob("[0-9]*.py"))
    count = len(list(folder.glob("[0-9]*.py"))) + 1
    command.revision(
        config(hub),
        message=message,
        autogenerate=True,
        rev_id=f"{branch}_{count:04d}",
        head="base" if first else f"{branch}@head",
        branch_label=branch if first else None,
        version_path=str(folder),
        depends_on=None if branch == CORE or not first else [f"{CORE}@head"],
    )


if __name__ == "__main__":
    main()
