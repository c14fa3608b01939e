"""Every command that a page, a message or a screen tells somebody to run exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click
import pytest

from hub.cli import cli
from hub.cli.lazy import COMMANDS
from plugins.partner_portal.cli import partner

ROOT = Path(__file__).resolve().parents[2]
_QUOTED = re.compile(r"`hub ([a-z][^`\n]*)`")
_SHOWN = re.compile(r"^ *(?:\$ )?hub ([a-z].*)$", re.MULTILINE)
_WORD = re.compile(r"^[a-z][a-z-]*$")


@cache
def told():
    """(file, words after `hub`) of every command line in documentation, messages and pages."""
    return list(_told())


def _told():
    for file in (file for folder in ("hub", "plugins", "docs") for file in sorted((ROOT / folder).rglob("*"))):
        if file.suffix in (".py", ".html", ".md") and "vendor" not in file.parts:
            text = file.read_text(encoding="utf-8")
            found = [*_QUOTED.findall(text), *(_SHOWN.findall(text) if file.suffix == ".md" else ())]
            yield from ((str(file.relative_to(ROOT)), line.split()) for line in found)


def missing(words):
    """The first word that is no command where one must stand; None when all is well."""
    context = click.Context(cli, info_name="hub")
    command = partner if words[0] == "partner" else cli.get_command(context, words[0])
    for word in words[1:]:
        if command is None or not isinstance(command, click.Group) or not _WORD.match(word):
            break
        found = command.get_command(context, word)
        if found is None:
            return word
        command = found
    return words[0] if command is None else None


def test_some_commands_are_told():
    assert len(told()) > 50


@pytest.mark.parametrize("line", sorted({" ".join(words[:3]) for _, words in told()}))
def test_a_command_that_is_told_exists(line):
    places = sorted({file for file, words in told() if " ".join(words[:3]) == line})

    assert missing(line.split()) is None, f"`hub {line}` stands in {', '.join(places)}"


def test_the_list_of_commands_says_what_each_is_in_a_sentence():
    assert all(text.endswith(".") and text[0].isupper() for _, text in COMMANDS.values())
