"""Files that were uploaded for an import: kept for a day, so that a check need not be followed by a second upload."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from werkzeug.datastructures import FileStorage

from hub.core.database import uuid7
from hub.core.errors import NotFound, RuleBroken
from hub.web.current import current_hub, current_user

_KEPT_FOR_S: Final = 24 * 3600
_LONGEST_NAME: Final = 120
_FILE: Final = "file.csv"
_NAME: Final = "name.txt"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file. name: what it was called where it came from."""

    id: UUID
    folder: Path
    name: str

    @property
    def path(self) -> Path:
        return self.folder / _FILE

    def folder_for_faults(self) -> Path:
        """A folder for the rows to mend, without those of an earlier look at the same file."""
        folder = self.folder / "faults"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def new_upload(file: FileStorage) -> Upload:
    """Keep a file that was sent. Raises RuleBroken when there is no room for it."""
    upload_id = uuid7()
    folder = _folder_of_user() / str(upload_id)
    name = Path((file.filename or "").replace("\\", "/")).name[-_LONGEST_NAME:] or "upload.csv"
    try:
        _forget_old(_folder_of_user())
        folder.mkdir(parents=True, mode=0o700)
        file.save(folder / _FILE)
        (folder / _NAME).write_text(name, encoding="utf-8")
    except OSError as failure:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuleBroken(
            f"The file cannot be stored: {failure.strerror}. Make room in the hub's data directory and try again.",
            fields={"file": "cannot be stored"},
        ) from failure
    return Upload(upload_id, folder, name)


def upload_named(text: str) -> Upload:
    """A file that this user sent before. Raises NotFound."""
    try:
        upload_id = UUID(text)
        folder = _folder_of_user() / str(upload_id)
        return Upload(upload_id, folder, (folder / _NAME).read_text(encoding="utf-8"))
    except (ValueError, OSError):
        raise NotFound("This file is not kept any more. Choose it again.") from None


def faults_of(upload: Upload) -> Path:
    """The rows to mend of the last look at a file. Raises NotFound when there are none."""
    found = sorted((upload.folder / "faults").glob("*.csv"))
    if not found:
        raise NotFound("There are no rows to mend of this file.")
    return found[0].resolve()


def _folder_of_user() -> Path:
    return current_hub().settings.data_dir / "uploads" / str(current_user().id)


def _forget_old(folder: Path) -> None:
    """Delete the user's files that nobody came back for."""
    for kept in folder.glob("*") if folder.exists() else ():
        if kept.stat().st_mtime < time.time() - _KEPT_FOR_S:
            shutil.rmtree(kept, ignore_errors=True)
