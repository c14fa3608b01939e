"""The code of the documentation is run: a page that lies is a failing test."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from hub.cli.scaffold import write_plugin

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FIXTURES = "hub.testing.pytest_plugin"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^# (\S+\.py)\n")


def blocks(page, language):
    """The code blocks of a page in one language."""
    return [text for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def files(page):
    """The code blocks of a page that name, in their first line, the file they are."""
    named = ((match.group(1), text) for text in blocks(page, "python") if (match := _FILE.match(text)))
    return dict(named)


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_every_python_block_is_python(page):
    for text in blocks(page, "python"):
        compile(text, str(page), "exec")


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_ten_line_plugin_and_its_test_work_as_the_page_shows_them(tmp_path):
    shown = files(ROOT / "docs" / "write_a_plugin.md")
    for name, text in shown.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert sorted(shown) == ["hub_chat.py", "tests/test_hub_chat.py"]
    assert "2 passed" in run_tests(tmp_path)


def test_the_plugin_of_the_page_is_the_one_that_the_command_writes(tmp_path):
    page = files(ROOT / "docs" / "write_a_plugin.md")["hub_chat.py"].partition("\n")[2]

    written = (write_plugin("chat", tmp_path) / "hub_chat.py").read_text(encoding="utf-8")

    assert written == page


def test_the_smallest_useful_plugin_has_ten_lines_at_the_most(tmp_path):
    assert len((write_plugin("chat", tmp_path) / "hub_chat.py").read_text(encoding="utf-8").splitlines()) <= 10


def run_tests(folder):
    """Run the tests of a plugin's folder in a process of its own, as its author would."""
    known = {entry.value for entry in entry_points(group="pytest11")}
    fixtures = [] if FIXTURES in known else ["-p", FIXTURES]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *fixtures, "-o", "pythonpath=.", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
