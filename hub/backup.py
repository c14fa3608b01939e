"""Everything of a hub in one file, and back: the database, the files beside it, and the keys that open its secrets.

A backup is a tar.gz with a manifest that names each part with its size and SHA-256. It appears under its name only
when it is complete. A restored hub starts with every connection read-only: until a person has looked, a copy of a hub
must not write to systems that the original writes to.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from hub import migrations
from hub.backup_rows import dump_rows, load_rows
from hub.bootstrap import Hub, build_hub
from hub.config import Settings, secret_keys
from hub.core import audit, clock
from hub.core.errors import RuleBroken, SetupError
from hub.services.running import refuse_running
from hub.sync.models import Connection, ConnectionState

FORMAT: Final = 1
MANIFEST, DATABASE, ROWS, KEYS, FILES = "manifest.json", "database.sqlite3", "rows.jsonl", "secret.key", "files"
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What is in a backup. size: bytes of the file."""

    file: Path
    made_at: datetime
    version: str
    size: int
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    """What was brought back. read_only: connections that wrote before and now only read. kept: what was moved aside."""

    file: Path
    made_at: datetime
    version: str
    read_only: tuple[str, ...]
    kept: Path | None


# Saving ---------------------------------------------------------------------------------------------------------------


def write_backup(hub: Hub, file: Path) -> BackupSummary:
    """Save the hub, also while it works, in `file`, readable by its owner alone. Raises RuleBroken, SetupError."""
    if file.exists():
        raise RuleBroken(f"{file} is there already: choose another name.")
    with _disk_explained(file), tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        staged = Path(folder)
        (staged / KEYS).write_text("\n".join(secret_keys(hub.settings)) + "\n", encoding="utf-8")
        is_sqlite = hub.database.is_sqlite
        if is_sqlite:
            _copy_sqlite(_sqlite_file(hub.settings.database_url), staged / DATABASE)
        else:
            dump_rows(hub, staged / ROWS)
        if (hub.settings.data_dir / FILES).is_dir():
            shutil.copytree(hub.settings.data_dir / FILES, staged / FILES)
        manifest = _manifest(hub, staged, "sqlite" if is_sqlite else "rows")
        (staged / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        _pack(staged, [MANIFEST, *manifest["parts"]], staged / "backup.tar.gz")
        os.link(staged / "backup.tar.gz", file)  # fails if somebody made it meanwhile; nothing is written over
    hub.transact(lambda session: audit.note(session, "backup", "hub", None, file=file.name), actor="command")
    made_at = datetime.fromisoformat(manifest["made_at"])
    return BackupSummary(file, made_at, manifest["version"], file.stat().st_size, tuple(manifest["parts"]))


def _manifest(hub: Hub, staged: Path, form: str) -> dict[str, Any]:
    parts = sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file())
    with hub.read():
        enabled = sorted(hub.plugins.modules)
    return {
        "format": FORMAT,
        "version": importlib.metadata.version("psa-hub"),
        "made_at": clock.now().isoformat(),
        "database": form,
        "revisions": migrations.revisions(hub),
        "plugins": enabled,
        "parts": {name: {"size": (staged / name).stat().st_size, "sha256": _digest(staged / name)} for name in parts},
    }


def _copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy while others write: SQLite's own backup. Source: sqlite.org/backup.html."""
    address = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _pack(staged: Path, names: Sequence[str], target: Path) -> None:
    with _private(target) as out:
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name in names:
                archive.add(staged / name, arcname=name, filter=_anonymous)
        out.flush()
        os.fsync(out.fileno())


def _anonymous(part: tarfile.TarInfo) -> tarfile.TarInfo:
    part.uid = part.gid = 0
    part.uname = part.gname = ""
    part.mode = 0o600
    return part


# Bringing back --------------------------------------------------------------------------------------------------------


def restore_backup(settings: Settings, file: Path, *, force: bool = False) -> RestoreSummary:
    """Bring a hub back into the data directory and the database of these settings, which must be empty unless forced.

    Everything is prepared and checked beside the present hub and put in place at the end; with force what is there is
    saved first, in a backup of its own. Raises RuleBroken for a file that is no backup or is damaged, and for a hub
    that is not empty; SetupError for a full disk, a key that does not fit, or a hub that runs there.
    """
    folder = settings.data_dir
    refuse_running(folder)
    with _disk_explained(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as staged_name:
        staged = Path(staged_name)
        manifest = _unpack(file, staged)
        keys = (staged / KEYS).read_text(encoding="utf-8").split()
        _check_keys(settings, keys)
        kept = _save_present(settings, force=force)
        aside = replace(settings, database_url=f"{_SQLITE}{staged / DATABASE}", secret_key=",".join(keys))
        with _opened(aside) as prepared:
            read_only = _prepare(prepared, staged, manifest)
            if not settings.database_url.startswith(_SQLITE):
                dump_rows(prepared, staged / ROWS)
        if settings.database_url.startswith(_SQLITE):
            _put_in_place(staged / DATABASE, _sqlite_file(settings.database_url))
        else:
            with _opened(replace(settings, secret_key=",".join(keys))) as target:
                load_rows(target, staged / ROWS)
        _put_files(settings, staged, keys)
    return RestoreSummary(file, datetime.fromisoformat(manifest["made_at"]), manifest["version"], read_only, kept)


def _prepare(hub: Hub, staged: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    """Bring a database to what this version needs and make its connections read-only. Returns their names."""
    missing = sorted(set(manifest["plugins"]) - set(hub.plugins.sources()))
    if missing:
        raise RuleBroken(f"The backup needs the plugin {missing[0]}, which is not installed here. Install it first.")
    revisions = _revisions(manifest)
    if not migrations.knows(hub, migrations.CORE, revisions[migrations.CORE]):
        raise RuleBroken(
            f"The backup was made by a newer version of the hub ({manifest['version']}). Install that one first."
        )
    if manifest["database"] == "sqlite":
        migrations.upgrade(hub)
    else:
        load_rows(hub, staged / ROWS, revisions)

    def work(session: Session) -> tuple[str, ...]:
        audit.note(session, "restore", "hub", None, made_at=manifest["made_at"], version=manifest["version"])
        return tuple(_hold_back(hub, connection) for connection in session.scalars(select(Connection)))

    return tuple(name for name in hub.transact(work, actor="command") if name)


def _hold_back(hub: Hub, connection: Connection) -> str:
    """Let a connection read only. Returns its name if it wrote before."""
    hub.cipher.decrypt(connection.settings)  # raises SetupError if the keys are not those of this database
    wrote = connection.writes
    connection.writes, connection.restored_at, connection.only_there = False, clock.now(), None
    if connection.state == ConnectionState.ACTIVE:
        connection.state = ConnectionState.READ_ONLY
    return connection.name if wrote else ""


def _unpack(file: Path, staged: Path) -> dict[str, Any]:
    """Take a backup apart and check every part. Raises RuleBroken."""
    damaged = f"{file} is damaged: a part of it is not as it was written. Take another backup."
    try:
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(staged, filter="data")
        manifest: dict[str, Any] = json.loads((staged / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as failure:
        text = f"{file} is no backup of a hub: it has no manifest." if file.exists() else f"There is no file {file}."
        raise RuleBroken(text) from failure
    except (EOFError, zlib.error) as failure:
        raise RuleBroken(damaged) from failure
    except (tarfile.TarError, json.JSONDecodeError, UnicodeDecodeError) as failure:
        raise RuleBroken(f"{file} is no backup of a hub, or it is damaged.") from failure
    if manifest.get("format") != FORMAT:
        raise RuleBroken(f"{file} was written by another version of the hub ({manifest.get('version')}): use that one.")
    for name, expected in manifest["parts"].items():
        part = staged / name
        if not part.is_file() or part.stat().st_size != expected["size"] or _digest(part) != expected["sha256"]:
            raise RuleBroken(damaged)
    return manifest


def _check_keys(settings: Settings, keys: Sequence[str]) -> None:
    if settings.secret_key and keys[0] not in secret_keys(settings):
        raise SetupError(
            "The backup was made with another HUB_SECRET_KEY than the present one. Unset HUB_SECRET_KEY, so that the "
            "backup's key is used, or set it to that of the backup."
        )


def _save_present(settings: Settings, *, force: bool) -> Path | None:
    """Refuse to restore over a hub with data; forced, save that hub first. Returns the file it is saved in."""
    if _is_empty(settings):
        return None
    if not force:
        raise RuleBroken(
            f"The hub in {settings.data_dir} is not empty: restore into another data directory (--data-dir), or use "
            "--force, which saves it first."
        )
    kept = settings.data_dir / f"before-restore-{clock.now():%Y%m%d-%H%M%S}.tar.gz"
    with _opened(settings) as present:
        return write_backup(present, kept).file


def _is_empty(settings: Settings) -> bool:
    """Nobody has done anything yet: there is no line in the audit log."""
    if settings.database_url.startswith(_SQLITE):
        path = _sqlite_file(settings.database_url)
        if not path.exists() or path.stat().st_size == 0:
            return True
    with _opened(settings) as present, present.database.engine.connect() as connection:
        if not inspect(connection).has_table(audit.AuditEntry.__tablename__):
            return True
        return connection.execute(select(audit.AuditEntry.id).limit(1)).first() is None


def _put_in_place(prepared: Path, target: Path) -> None:
    with closing(sqlite3.connect(prepared)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    prepared.chmod(0o600)
    prepared.replace(target)


def _put_files(settings: Settings, staged: Path, keys: Sequence[str]) -> None:
    if not settings.secret_key:
        with _private(staged / "new.key") as out:
            out.write(("\n".join(keys) + "\n").encode())
        (staged / "new.key").replace(settings.data_dir / KEYS)
    if (staged / FILES).is_dir():
        shutil.copytree(staged / FILES, settings.data_dir / FILES, dirs_exist_ok=True)


# Shared ---------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(settings: Settings) -> Iterator[Hub]:
    hub = build_hub(settings)
    try:
        yield hub
    finally:
        hub.close()


@contextmanager
def _disk_explained(where: Path) -> Iterator[None]:
    """A full or forbidden disk in one sentence."""
    try:
        yield
    except FileExistsError as failure:
        raise RuleBroken(f"{where} is there already: choose another name.") from failure
    except (OSError, sqlite3.OperationalError) as failure:
        number = getattr(failure, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "full" in str(failure):
            raise SetupError(f"There is not enough space for {where}. Free some and try again.") from failure
        if isinstance(failure, OSError) and number is not None:
            raise SetupError(f"{where} cannot be used: {os.strerror(number)}.") from failure
        raise


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner alone, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        yield out


def _sqlite_file(url: str) -> Path:
    return Path(url.removeprefix(_SQLITE))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _revisions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Where each branch stood. The first release told the core's alone; of its plugins there was one revision each."""
    if "revisions" in manifest:
        return dict(manifest["revisions"])
    return {**dict.fromkeys(manifest["plugins"], "+1"), migrations.CORE: manifest["schema"][0]}
