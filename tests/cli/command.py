"""Calls the `hub` command in this process, as a person would, and looks at what it prints."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def command_on(tmp_path, monkeypatch, folder, *, keep=()):
    """The command line on a copy of a data directory, and an end of its log afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_CONFIG", "HUB_SECRET_KEY"):
        if name not in keep:
            monkeypatch.delenv(name, raising=False)
    if folder is not None:
        shutil.copytree(folder, tmp_path / "var")
    yield HubCommand(tmp_path / "var")
    end_logging()
    structlog.reset_defaults()


def end_logging():
    """Close the log file, which otherwise stays open until the process ends."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "hub_log", False):
            root.removeHandler(handler)
            handler.close()
