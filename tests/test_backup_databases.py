"""A backup from either database comes back on either."""

from __future__ import annotations

import json
import tarfile
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from hub.backup import restore_backup, write_backup
from hub.backup_rows import dump_rows
from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.core.audit import AuditEntry
from hub.core.companies.models import Company
from hub.core.companies.service import set_company
from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate
from hub.migrations import check

RELEASES = Path(__file__).parent / "releases"


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_was_saved_comes_back_equal_and_can_be_worked_with(hub, tmp_path, request, target):
    hub.transact(lambda session: set_company(session, name="SiP Ltd", country="GB", currency="GBP"))
    hub.transact(lambda session: add_rate(session, rate=Decimal("80.125"), currency="GBP"))
    write_backup(hub, tmp_path / "b.tar.gz")

    settings = _target(target, tmp_path, request)
    restore_backup(settings, tmp_path / "b.tar.gz")

    copy = build_hub(settings, plugins={})
    with hub.read() as ours, copy.read() as theirs:
        for table in (Company, RateCard):
            assert _rows(theirs, table) == _rows(ours, table)
        newest = theirs.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first()
    assert newest == "restore"
    # The next number of the audit log is beyond those that were brought back.
    copy.transact(lambda session: set_company(session, name="Later Ltd", country="GB", currency="GBP"))
    copy.close()


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
@pytest.mark.parametrize("release", sorted(RELEASES.glob("*.tar.gz")), ids=lambda file: file.name.partition(".")[0])
def test_a_hub_of_an_earlier_release_comes_up_with_all_its_rows(tmp_path, request, target, release):
    """The file is a demonstration firm that the release of this revision saved as rows."""
    settings = _target(target, tmp_path, request)
    restore_backup(settings, release)

    copy = build_hub(settings)
    assert check(copy) == []
    dump_rows(copy, tmp_path / "now.jsonl")
    now = _by_id(tmp_path / "now.jsonl")
    for table, rows in _by_id(_unpacked(release, tmp_path)).items():
        assert now[table].keys() >= rows.keys()
    copy.close()


def _unpacked(release, tmp_path):
    with tarfile.open(release) as archive:
        archive.extract("rows.jsonl", tmp_path / "then", filter="data")
    return tmp_path / "then" / "rows.jsonl"


def _by_id(file):
    """The rows of a dump by their first column, table by table."""
    tables, rows = {}, {}
    for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        if isinstance(line, dict):
            rows = tables[line["table"]] = {}
        else:
            rows[line[0]] = line
    return tables


def _target(target, tmp_path, request):
    folder = tmp_path / "copy"
    flags = {"data_dir": str(folder)}
    if target == "postgresql":
        server = request.getfixturevalue("postgres_server")
        flags["database_url"] = server.create_database(f"t_{uuid4().hex[:12]}", template="template0")
    return load_settings(flags, environ={})


def _rows(session, table):
    return [[getattr(row, column.key) for column in table.__table__.columns] for row in session.scalars(select(table))]
