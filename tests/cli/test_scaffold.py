from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib

import pytest

from hub.cli.scaffold import write_plugin
from hub.core.errors import RuleBroken
from hub.plugin_host import Source, probe


def install(folder, target, monkeypatch):
    """What `pip install -e` leaves behind: a path, and a dist-info with the entry points of pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["hub.plugins"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[hub.plugins]", *lines]) + "\n")
    monkeypatch.syspath_prepend(target)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{target}:{folder}")
    importlib.invalidate_caches()


def test_a_new_plugin_is_found_checked_enabled_and_listed(hub, tmp_path, monkeypatch):
    written = hub("plugin", "new", "chat", "--json").json
    install(tmp_path / written["folder"], tmp_path / "site", monkeypatch)

    assert hub("plugin", "check", "chat").out == "The plugin chat is fine: it implements invoice_issued.\n"
    hub("plugin", "enable", "chat")

    (chat,) = [plugin for plugin in hub("plugin", "list", "--json").json if plugin["name"] == "chat"]
    assert (chat["status"], chat["title"], chat["version"]) == (
        "enabled",
        "Post a line to a chat room whenever an invoice is issued.",
        "0.1.0",
    )


def test_the_test_of_a_new_plugin_passes(tmp_path):
    folder = write_plugin("time_clock", tmp_path)
    known = {entry.value for entry in importlib.metadata.entry_points(group="pytest11")}
    fixtures = [] if "hub.testing.pytest_plugin" in known else ["-p", "hub.testing.pytest_plugin"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *fixtures],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_new_plugin_can_be_loaded_in_a_process_of_its_own(tmp_path, monkeypatch):
    folder = write_plugin("chat", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(folder))

    assert probe(Source("chat", "hub_chat"))["hooks"] == ["invoice_issued"]


@pytest.mark.parametrize("name", ["Chat", "2chat", "chat room", "../chat", "class", "", "chat-room"])
def test_a_name_that_is_no_module_is_refused(hub, tmp_path, name):
    answer = hub("plugin", "new", name, code=1)

    assert "cannot be a plugin's name: use small letters" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_written_over(tmp_path):
    folder = write_plugin("chat", tmp_path)
    (folder / "hub_chat.py").write_text("mine")

    with pytest.raises(RuleBroken, match="is there already"):
        write_plugin("chat", tmp_path)

    assert (folder / "hub_chat.py").read_text() == "mine"


@pytest.mark.parametrize("command", ["enable", "disable", "check"])
def test_an_unknown_plugin_is_named_with_those_there_are(hub, command):
    answer = hub("plugin", command, "nonsense", code=1)

    assert answer.err.startswith("Error: There is no plugin called nonsense. Installed: crm_salesforce, ")


def test_settings_of_a_plugin_are_kept_encrypted(hub, tmp_path):
    hub("plugin", "set", "quickbooks", "CHAT_URL=https://chat.example/s3cret", "ROOM=7")
    answer = hub("plugin", "set", "quickbooks", "ROOM=")

    assert answer.out == "The plugin quickbooks has 1 setting: CHAT_URL.\n"
    assert b"s3cret" not in (hub.data_dir / "hub.sqlite3").read_bytes()


def test_a_setting_without_a_value_is_not_repeated_because_it_may_be_a_secret(hub):
    answer = hub("plugin", "set", "quickbooks", "s3cret", code=2)

    assert "Settings are written KEY=VALUE." in answer.err
    assert "s3cret" not in answer.err


def test_a_plugin_whose_import_fails_is_refused_with_its_reason(hub, tmp_path, monkeypatch):
    folder = write_plugin("chat", tmp_path)
    (folder / "hub_chat.py").write_text("import nowhere_to_be_found\n")
    install(folder, tmp_path / "site", monkeypatch)

    checked = hub("plugin", "check", "chat", code=1)
    enabled = hub("plugin", "enable", "chat", code=1)

    assert "cannot be used: it cannot be imported (ModuleNotFoundError" in checked.out
    assert "The plugin chat cannot be enabled" in enabled.err
    (chat,) = [plugin for plugin in hub("plugin", "list", "--json").json if plugin["name"] == "chat"]
    assert chat["status"] == "failed"
