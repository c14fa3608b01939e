"""Is a hub running on a data directory? Some things must not be done under it."""

from __future__ import annotations

import fcntl
from pathlib import Path

from hub.core.errors import SetupError


def refuse_running(data_dir: Path) -> None:
    """Raises SetupError while `hub up` holds its lock on the data directory."""
    lock = data_dir / "up.lock"
    if not lock.exists():
        return
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"A hub is running on {data_dir} (process {file.read().strip() or 'unknown'}). "
                "End it with Ctrl-C first, or choose another folder with --data-dir."
            ) from None
