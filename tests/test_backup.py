"""Backups: everything in one file, nothing half-done, and copies that keep still."""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text

from hub.backup import _copy_sqlite, restore_backup, write_backup
from hub.backup_rows import dump_rows, load_rows
from hub.bootstrap import build_hub
from hub.config import Settings, secret_keys
from hub.core.audit import AuditEntry
from hub.core.companies.models import Company
from hub.core.companies.service import set_company
from hub.core.database import uuid7
from hub.core.errors import RuleBroken, SetupError
from hub.migrations import upgrade
from hub.sync.models import Connection, ConnectionState


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A data directory with tables and nothing in them, made once."""
    return _made(Settings(data_dir=tmp_path_factory.mktemp("fresh")))


@pytest.fixture
def settings(tmp_path, fresh):
    shutil.copytree(fresh, tmp_path / "original")
    return Settings(data_dir=tmp_path / "original")


@pytest.fixture
def hub(settings):
    """A hub with a company and three connections: one writes, one only reads, one is paused."""
    hub = build_hub(settings, plugins={})
    hub.transact(lambda session: set_company(session, name="SiP Ltd", country="GB", currency="GBP"))

    def connect(session):
        for name, state, writes in (
            ("books", ConnectionState.ACTIVE, True),
            ("crm", ConnectionState.READ_ONLY, False),
            ("old", ConnectionState.PAUSED, True),
        ):
            session.add(
                Connection(
                    id=uuid7(),
                    name=name,
                    plugin="p",
                    connector="c",
                    settings=hub.cipher.encrypt({"client_secret": "s3cret"}),
                    state=state,
                    writes=writes,
                    account_id=name,
                )
            )

    hub.transact(connect)
    yield hub
    hub.close()


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    return Settings(data_dir=folder)


def test_a_restored_hub_has_the_data_the_files_and_the_keys(hub, tmp_path, elsewhere):
    (hub.settings.data_dir / "files").mkdir()
    (hub.settings.data_dir / "files" / "invoice.pdf").write_bytes(b"%PDF")

    write_backup(hub, tmp_path / "b.tar.gz")
    restore_backup(elsewhere, tmp_path / "b.tar.gz")

    assert secret_keys(elsewhere) == secret_keys(hub.settings)
    assert (elsewhere.data_dir / "files" / "invoice.pdf").read_bytes() == b"%PDF"
    with _opened(elsewhere) as copy, copy.read() as session:
        assert session.scalars(select(Company.name)).all() == ["SiP Ltd"]
        stored = session.scalars(select(Connection.settings)).first()
        assert copy.cipher.decrypt(stored) == {"client_secret": "s3cret"}


def test_every_connection_of_a_restored_hub_only_reads(hub, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")

    summary = restore_backup(elsewhere, tmp_path / "b.tar.gz")

    assert sorted(summary.read_only) == ["books", "old"]
    with _opened(elsewhere) as copy, copy.read() as session:
        states = {one.name: (one.state, one.writes) for one in session.scalars(select(Connection))}
    assert states == {"books": ("read_only", False), "crm": ("read_only", False), "old": ("paused", False)}


def test_a_backup_is_for_its_owner_alone_and_leaves_nothing_beside_it(hub, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()

    write_backup(hub, folder / "b.tar.gz")

    assert [path.name for path in folder.iterdir()] == ["b.tar.gz"]
    assert (folder / "b.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_backup_never_replaces_a_file(hub, tmp_path):
    (tmp_path / "b.tar.gz").write_text("precious")

    with pytest.raises(RuleBroken, match="is there already: choose another name"):
        write_backup(hub, tmp_path / "b.tar.gz")

    assert (tmp_path / "b.tar.gz").read_text() == "precious"


def test_a_backup_holds_what_is_committed_while_another_process_writes(hub, tmp_path):
    writer = sqlite3.connect(hub.settings.data_dir / "hub.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE company SET name = 'Half done'")

    _copy_sqlite(hub.settings.data_dir / "hub.sqlite3", tmp_path / "copy.sqlite3")

    writer.execute("ROLLBACK")
    writer.close()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
        assert copy.execute("SELECT name FROM company").fetchall() == [("SiP Ltd",)]


def test_a_hub_with_data_is_not_overwritten(hub, settings, tmp_path):
    write_backup(hub, tmp_path / "b.tar.gz")
    hub.transact(lambda session: set_company(session, name="Later Ltd", country="GB", currency="GBP"))

    with pytest.raises(RuleBroken, match="is not empty: restore into another data directory"):
        restore_backup(settings, tmp_path / "b.tar.gz")

    with hub.read() as session:
        assert session.scalars(select(Company.name).order_by(Company.name)).all() == ["Later Ltd", "SiP Ltd"]


def test_with_force_what_was_there_is_saved_first(hub, settings, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")
    hub.transact(lambda session: set_company(session, name="Later Ltd", country="GB", currency="GBP"))
    hub.close()

    summary = restore_backup(settings, tmp_path / "b.tar.gz", force=True)
    restore_backup(elsewhere, summary.kept)

    assert _companies(settings) == ["SiP Ltd"]
    assert _companies(elsewhere) == ["Later Ltd", "SiP Ltd"]


def test_a_fresh_hub_with_tables_counts_as_empty(hub, tmp_path, fresh):
    write_backup(hub, tmp_path / "b.tar.gz")
    target = Settings(data_dir=shutil.copytree(fresh, tmp_path / "target"))

    assert restore_backup(target, tmp_path / "b.tar.gz").kept is None
    assert _companies(target) == ["SiP Ltd"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: None, "There is no file"),
        (lambda data: b"not a backup", "is no backup of a hub, or it is damaged"),
        (lambda data: data[: len(data) // 2], "is damaged"),
        (lambda data: _repacked(data, "secret.key", b"another key\n"), "is damaged: a part of it is not as it was"),
        (lambda data: _without(data, "database.sqlite3"), "is damaged: a part of it is not as it was"),
        (lambda data: _without(data, "manifest.json"), "is no backup of a hub: it has no manifest"),
        (lambda data: _of_format(data, 99), "was written by another version of the hub"),
    ],
)
def test_a_file_that_is_no_whole_backup_changes_nothing(hub, tmp_path, elsewhere, spoil, sentence):
    write_backup(hub, tmp_path / "b.tar.gz")
    spoilt = spoil((tmp_path / "b.tar.gz").read_bytes())
    bad = tmp_path / "bad.tar.gz"
    if spoilt is not None:
        bad.write_bytes(spoilt)

    with pytest.raises(RuleBroken, match=sentence):
        restore_backup(elsewhere, bad)

    assert list(elsewhere.data_dir.iterdir()) == []


def test_nothing_is_restored_under_a_running_hub(hub, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")
    with (elsewhere.data_dir / "up.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(SetupError, match=r"A hub is running on .* \(process 4711\)"):
            restore_backup(elsewhere, tmp_path / "b.tar.gz")


def test_a_part_that_would_be_written_elsewhere_is_refused(tmp_path, elsewhere):
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(_archive({"../escaped": b"x"}))

    with pytest.raises(RuleBroken, match="is no backup of a hub"):
        restore_backup(elsewhere, bad)

    assert not (tmp_path / "escaped").exists()


def test_another_secret_key_is_said_before_anything_is_restored(hub, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")
    other = replace(elsewhere, secret_key="cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ=")

    with pytest.raises(SetupError, match="made with another HUB_SECRET_KEY"):
        restore_backup(other, tmp_path / "b.tar.gz")

    assert list(elsewhere.data_dir.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(hub, tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setattr("hub.backup._private", lambda path: Path("/dev/full").open("wb"))  # noqa: SIM115

    with pytest.raises(SetupError, match="There is not enough space for"):
        write_backup(hub, folder / "b.tar.gz")

    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(hub, tmp_path):
    with pytest.raises(SetupError, match="cannot be used: No such file or directory"):
        write_backup(hub, tmp_path / "nowhere" / "b.tar.gz")


def test_a_backup_that_needs_a_plugin_which_is_not_installed(hub, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")
    manifest = json.loads(_parts((tmp_path / "b.tar.gz").read_bytes())["manifest.json"])
    parts = _parts((tmp_path / "b.tar.gz").read_bytes())
    parts["manifest.json"] = json.dumps({**manifest, "plugins": ["time_clock"]}).encode()
    (tmp_path / "b.tar.gz").write_bytes(_archive(parts))

    with pytest.raises(RuleBroken, match="needs the plugin time_clock, which is not installed here"):
        restore_backup(elsewhere, tmp_path / "b.tar.gz")


def test_a_backup_of_a_newer_version_is_said_to_be_one(hub, tmp_path, elsewhere):
    write_backup(hub, tmp_path / "b.tar.gz")
    parts = _parts((tmp_path / "b.tar.gz").read_bytes())
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps({**manifest, "version": "9.1", "revisions": {"core": "core_9001"}}).encode()
    (tmp_path / "b.tar.gz").write_bytes(_archive(parts))

    with pytest.raises(RuleBroken, match=r"made by a newer version of the hub \(9.1\). Install that one first"):
        restore_backup(elsewhere, tmp_path / "b.tar.gz")


def test_rows_written_as_lines_come_back_equal(hub, tmp_path, elsewhere):
    dump_rows(hub, tmp_path / "rows.jsonl")

    with _opened(elsewhere) as copy:
        load_rows(copy, tmp_path / "rows.jsonl")
        dump_rows(copy, tmp_path / "again.jsonl")
        with copy.read() as session:
            assert session.scalar(select(AuditEntry.id).limit(1)) is not None
            assert session.scalars(select(Company.name)).all() == ["SiP Ltd"]

    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "rows.jsonl").read_text()


def test_tables_of_a_plugin_that_is_not_enabled_are_not_lost_silently(hub, tmp_path):
    with hub.database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE somebodys (id INTEGER)"))

    with pytest.raises(RuleBroken, match=r"not enabled \(somebodys\)"):
        dump_rows(hub, tmp_path / "rows.jsonl")


def _made(settings):
    hub = build_hub(settings, plugins={})
    upgrade(hub)
    hub.close()
    return settings.data_dir


class _opened:
    """A hub that is closed afterwards."""

    def __init__(self, settings):
        self.hub = build_hub(settings, plugins={})

    def __enter__(self):
        return self.hub

    def __exit__(self, *exc):
        self.hub.close()


def _companies(settings):
    with _opened(settings) as hub, hub.read() as session:
        return session.scalars(select(Company.name).order_by(Company.name)).all()


def _parts(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {part.name: archive.extractfile(part).read() for part in archive.getmembers()}


def _archive(parts):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    assert gzip.decompress(out.getvalue())
    return out.getvalue()


def _repacked(data, name, content):
    return _archive({**_parts(data), name: content})


def _without(data, name):
    return _archive({key: value for key, value in _parts(data).items() if key != name})


def _of_format(data, number):
    manifest = json.loads(_parts(data)["manifest.json"])
    return _repacked(data, "manifest.json", json.dumps({**manifest, "format": number}).encode())
