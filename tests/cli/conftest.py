"""The `hub` command on a data directory of its own."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

from hub.cli import cli


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class HubCommand:
    """Calls `hub ...` in this process, as a person would; every call opens and closes a hub of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str, given: str = "", code: int | None = 0) -> Answer:
        """Run one command and check its exit code (None: any)."""
        environment = {"HUB_DATA_DIR": str(self.data_dir), "COLUMNS": "120", "NO_COLOR": "1"}
        result = CliRunner(env=environment).invoke(cli, [str(item) for item in arguments], input=given)
        answer = Answer(result.exit_code, result.stdout, result.stderr)
        assert code is None or answer.code == code, f"exit code {answer.code}\n{answer.out}\n{answer.err}"
        assert "Traceback" not in answer.out + answer.err
        return answer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`hub("company", "list", "--json").json`: the command line on a fresh data directory."""
    yield from _command(tmp_path, monkeypatch, None)


@pytest.fixture
def firm(tmp_path, monkeypatch, firm_folder):
    """A hub with a company and a rate."""
    yield from _command(tmp_path, monkeypatch, firm_folder)


@pytest.fixture
def worked(tmp_path, monkeypatch, worked_folder):
    """A hub with approved time: 2.50 h and 1.00 h for one project in October, 4.00 h for another in November."""
    yield from _command(tmp_path, monkeypatch, worked_folder)


@pytest.fixture(scope="session")
def firm_folder(tmp_path_factory):
    """Made once; each test works on a copy."""
    hub = HubCommand(tmp_path_factory.mktemp("firm") / "var")
    hub("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP")
    hub("rate", "add", "--rate", "80.00", "--currency", "GBP")
    _end_logging()
    return hub.data_dir


@pytest.fixture(scope="session")
def worked_folder(tmp_path_factory, firm_folder):
    """Made once; each test works on a copy."""
    folder = tmp_path_factory.mktemp("worked")
    hub = HubCommand(shutil.copytree(firm_folder, folder / "var"))
    file = folder / "time.csv"
    file.write_text(
        "client,project,task,person,date,hours,external_id\n"
        "Harbour Foods,Website,Design,Ada,2026-10-01,2.50,1\n"
        "Harbour Foods,Website,Design,Ada,2026-10-02,1.00,2\n"
        "Mill Road Books,Shop,Build,Grace,2026-11-03,4.00,3\n"
    )
    hub("import", "time", str(file), "--create")
    hub("time", "approve", "--all")
    _end_logging()
    return hub.data_dir


def _command(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    for name in ("HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_CONFIG", "HUB_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    if folder is not None:
        shutil.copytree(folder, tmp_path / "var")
    yield HubCommand(tmp_path / "var")
    _end_logging()
    structlog.reset_defaults()


def _end_logging():
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "hub_log", False):
            root.removeHandler(handler)
            handler.close()
