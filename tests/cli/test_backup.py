from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cli.command import HubCommand


def test_a_backup_is_saved_restored_and_told_of(worked, tmp_path):
    answer = worked("backup", "b.tar.gz")
    assert answer.out.startswith("Saved in b.tar.gz (")
    assert "keep it safe" in answer.out

    copy = HubCommand(tmp_path / "copy")
    restored = copy("restore", str(tmp_path / "b.tar.gz"))

    assert restored.out.startswith("Restored the hub as it was at ")
    assert copy("export", "time_entries", "-", "--format", "json").out == (
        worked("export", "time_entries", "-", "--format", "json").out
    )


def test_the_backup_says_its_parts_as_json(worked):
    assert worked("backup", "b.tar.gz", "--json").json["parts"] == ["database.sqlite3", "secret.key"]


def test_a_backup_replaces_no_file(worked):
    worked("backup", "b.tar.gz")

    assert worked("backup", "b.tar.gz", code=1).err == "Error: b.tar.gz is there already: choose another name.\n"


def test_a_hub_with_data_is_restored_over_only_when_forced(worked, tmp_path):
    worked("backup", "b.tar.gz")

    assert "is not empty: restore into another data directory" in worked("restore", "b.tar.gz", code=1).err
    forced = worked("restore", "b.tar.gz", "--force", "--json").json
    assert forced["kept"].startswith(str(worked.data_dir / "before-restore-"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file b.tar.gz."),
        (b"nonsense", "b.tar.gz is no backup of a hub, or it is damaged."),
    ],
)
def test_a_file_that_is_no_backup(hub, tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "b.tar.gz").write_bytes(content)

    assert hub("restore", "b.tar.gz", code=1).err == f"Error: {sentence}\n"


@pytest.mark.slow
def test_a_hub_with_a_plugin_of_its_own_tables_moves_to_postgresql(firm, tmp_path, postgres_server):
    firm("plugin", "enable", "partner_portal")
    firm("partner", "add", "Bluebird Partners")
    firm("backup", "b.tar.gz")
    url = postgres_server.create_database(f"t_{uuid4().hex[:12]}")

    elsewhere = HubCommand(tmp_path / "elsewhere")
    elsewhere("--database-url", url, "restore", "b.tar.gz")

    (partner,) = elsewhere("--database-url", url, "partner", "list", "--json").json
    assert partner["name"] == "Bluebird Partners"
    elsewhere("--database-url", url, "partner", "add", "Second Partners")
    elsewhere("--database-url", url, "backup", "again.tar.gz")
    back = HubCommand(tmp_path / "back")
    back("restore", "again.tar.gz")
    assert len(back("partner", "list", "--json").json) == 2
