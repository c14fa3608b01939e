"""The tutorials are typed in: every marked command runs, in order, and answers what the page shows.

A page marks what is run and what is a file:

    <!-- run -->             the console block that follows: lines with `$ ` are commands, the others their output
    <!-- file: NAME -->      the block that follows is that file

In an output, `...` stands for any lines, or for the rest of a line. A command that ends with `&` runs until the end of
the page; it is ready when it says something.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from hub.cli import cli
from hub.cli.lazy import COMMANDS
from hub.services.queue_server import stop_queue_server

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PORT = re.compile(r"(127\.0\.0\.1:|--port )(\d{4})\b")
_MARKED = re.compile(r"^<!-- (run|file: (\S+)) -->\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def marked(page):
    """What a page marks, in order: (file name or None, text)."""
    return [(name or None, text) for _, name, text in _MARKED.findall(page.read_text(encoding="utf-8"))]


def steps(text):
    """The commands of a console block with the lines they answer."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Reader:
    """Somebody who types in a page, in a folder and with a data directory of their own."""

    def __init__(self, folder):
        self.folder, self.ports, self.running = folder, {}, []
        scripts = Path(sys.executable).parent
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")} | {
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "HUB_DATA_DIR": str(folder / "data"),
        }

    def here(self, text):
        """A text of the page with ports that are free on this machine."""
        return PORT.sub(lambda found: found[1] + self.ports.setdefault(found[2], str(free_port())), text)

    def types(self, command):
        """What a command answers, on both channels."""
        if command.endswith("&"):
            return self.starts(command.removesuffix("&").strip())
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 3), f"{command}\n{done.stdout}"
        return done.stdout if done.stdout.endswith("\n") else done.stdout + "\n"

    def starts(self, command):
        process = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        return process.stdout.readline()

    def ends(self):
        for process in self.running:
            process.terminate()
            process.communicate()
        stop_queue_server(self.folder / "data")


@pytest.fixture
def reader(tmp_path):
    reader = Reader(tmp_path)
    yield reader
    reader.ends()


def pattern_of(shown):
    """A regular expression for an output as a page shows it."""
    lines = [r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in shown]
    return re.compile("".join(lines))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_answers_what_the_page_shows(page, reader):
    for name, text in marked(page):
        if name:
            (reader.folder / name).write_text(text, encoding="utf-8")
            continue
        for command, shown in steps(reader.here(text)):
            said = reader.types(command)
            assert not shown or pattern_of(shown).fullmatch(said), f"{command}\n{said}"


def test_a_page_that_shows_another_answer_fails():
    shown = pattern_of(["books: success. 3 read: 3 created.", "...", "Equal: ..."])

    assert shown.fullmatch("books: success. 3 read: 3 created.\ninvoices: 1\nEqual: 1 document.\n")
    assert not shown.fullmatch("books: success. 2 read: 2 created.\ninvoices: 1\nEqual: 1 document.\n")


def hub_commands():
    """Every `hub` command in a console block of the documentation, with its page."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
    return [
        pytest.param(command, id=f"{page.stem}: {command}")
        for page in pages
        for block in _CONSOLE.findall(page.read_text(encoding="utf-8"))
        for command, _ in steps(block)
        if command.startswith("hub ")
    ]


def plugin_commands():
    """The commands that the installed plugins add."""
    plugins = [entry.load() for entry in entry_points(group="hub.plugins")]
    return {command.name: command for plugin in plugins if hasattr(plugin, "commands") for command in plugin.commands()}


@pytest.mark.parametrize("command", hub_commands())
def test_a_command_that_a_page_shows_exists_with_its_options(command):
    words = shlex.split(command.removesuffix("&"))[1:]
    found = plugin_commands().get(words.pop(0)) if words[0] not in COMMANDS else cli
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), words.pop(0))
    known = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}

    assert [word for word in words if word.startswith("--") and word not in known] == []


def test_the_pages_show_json_that_is_json():
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for text in re.findall(r"^```json\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            json.loads(text)
