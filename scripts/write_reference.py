"""Write the reference pages from the code they describe.

.venv/bin/python scripts/write_reference.py            writes docs/reference/*.md
.venv/bin/python scripts/write_reference.py --check    exit code 1 if one is not current
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import click

import hub.config
from hub import sdk
from hub.access.permissions import CORE_PERMISSIONS, ROLE_TEXTS, Permission, Role
from hub.cli import cli
from hub.core import errors as core_errors
from hub.core import hookspecs, records
from hub.core.errors import HubError
from hub.sync import connector
from hub.testing.conformance.rules import MEANING, Level, Rule, all_rules
from hub.web.problems import KINDS, TYPES

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
WIDTH = 118
EXAMPLE = {
    "type": f"{TYPES}validation",
    "title": "Not valid",
    "status": 422,
    "detail": "“GBPP” is not a currency. Use a three-letter ISO 4217 code such as EUR.",
    "instance": "/api/v1/companies",
    "code": "validation",
    "request_id": "0198b1f2a3c4",
    "errors": [{"pointer": "/currency", "code": "invalid", "message": "“GBPP” is not an ISO 4217 code."}],
}
HOOK_KINDS = ("tell", "check", "first", "pipeline", "collect")


def main() -> int:
    """Write every page, or compare it with the file that is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a page is not current")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path, text = FOLDER / f"{name}.md", page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                FOLDER.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    print(f"{'Not current' if check else 'Written'}: {', '.join(stale) or 'nothing'}.")
    return 1 if check and stale else 0


# Hooks ----------------------------------------------------------------------------------------------------------------


def hooks_page() -> str:
    """Every hook by kind, with its signature and docstring; the kinds as the module describes them."""
    kinds = {kind: list(hooks_of(kind)) for kind in HOOK_KINDS}
    parts = [
        page_head("Hooks", "hub/core/hookspecs.py"),
        "What a plugin can do. A function with the name of a hook, marked `@hookimpl` (from `hub.sdk`), is called at "
        "that hook. Arguments it does not need it leaves out. "
        "How to begin is in [Write a plugin](../write_a_plugin.md).",
    ]
    for kind, functions in kinds.items():
        parts += [f"## {kind.capitalize()}", kind_text(kind)]
        parts += [hook_section(function) for function in functions]
    return joined(parts)


def hooks_of(kind: str) -> Iterator[FunctionType]:
    """The hooks of one kind, in the order of the module."""
    for function in vars(hookspecs).values():
        if hasattr(function, "hub_spec") and kind_of(function) == kind:
            yield function


def kind_of(function: FunctionType) -> str:
    """The kind that a hook's docstring names. Raises ValueError if it names none that there is."""
    match = re.search(r"Kind: (\w+)", inspect.getdoc(function) or "")
    if match is None or match.group(1) not in HOOK_KINDS:
        raise ValueError(f"The docstring of the hook {function.__name__} names no kind.")
    return match.group(1)


def kind_text(kind: str) -> str:
    """What the module's docstring says of a kind."""
    match = re.search(rf"^{kind} +(.+?)(?=^\S|\Z|\n\n)", inspect.getdoc(hookspecs) or "", re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"The docstring of hub.core.hookspecs does not describe the kind {kind}.")
    return one_line(match.group(1))


def hook_section(function: FunctionType) -> str:
    arguments = ", ".join(
        str(parameter).replace("'", "") for parameter in inspect.signature(function).parameters.values()
    )
    answer = function.__annotations__["return"]
    text = one_line(inspect.getdoc(function) or "")
    signature = f"def {function.__name__}({arguments}) -> {answer}: ..."
    return f"### {function.__name__}\n\n```python\n{signature}\n```\n\n{wrapped(text)}"


# What a plugin imports ------------------------------------------------------------------------------------------------


def sdk_page() -> str:
    """Everything in `hub.sdk.__all__`: errors and functions by their docstrings, records and contract as they are."""
    exported = {name: getattr(sdk, name) for name in sdk.__all__}
    classes = [value for value in exported.values() if inspect.isclass(value)]
    errors = [value for value in classes if issubclass(value, HubError)]
    parts = [
        page_head("What a plugin imports", "hub/sdk and the modules behind it"),
        wrapped(
            "A plugin imports `hub.sdk`, and for pages, tables and commands `hub.sdk.web`, `hub.sdk.tables` and "
            "`hub.sdk.cli`. What is not exported there is private and may change with every release."
        ),
        "## Errors",
        "The class says what happened and what follows.",
        errors_table(errors),
        "## Functions",
        *(function_section(value) for value in exported.values() if inspect.isfunction(value)),
    ]
    for title, module in (("Records", records), ("The contract of a connector", connector)):
        own = [value for value in classes if value.__module__ == module.__name__]
        lines = inspect.getsource(module)
        own.sort(key=lambda value: lines.index(f"class {value.__name__}"))
        parts += [f"## {title}", paragraphs(module), *(source_section(value) for value in own)]
    return joined(parts)


def errors_table(errors: list[type]) -> str:
    """Each error with its meaning, and what follows as the tree in hub.core.errors says it."""
    tree = dict(re.findall(r"── (\w+) .*?→ (.+)$", inspect.getdoc(core_errors) or "", re.MULTILINE))
    rows = [f"| `{error.__name__}` | {summary(error)} | {in_cell(tree.get(error.__name__, ''))} |" for error in errors]
    return "\n".join(["| Error | It means | So |", "|---|---|---|", *rows])


def function_section(function: FunctionType) -> str:
    signature = str(inspect.signature(function)).replace("'", "")
    return (
        f"### {function.__name__}\n\n```python\ndef {function.__name__}{signature}: ...\n```\n\n{paragraphs(function)}"
    )


def source_section(found: type) -> str:
    return f"### {found.__name__}\n\n```python\n{inspect.getsource(found).rstrip()}\n```"


def summary(found: type) -> str:
    return one_line((inspect.getdoc(found) or "").partition("\n\n")[0])


def paragraphs(found: object) -> str:
    """A docstring, each paragraph wrapped anew; indented ones are kept."""
    texts = (inspect.getdoc(found) or "").split("\n\n")
    return "\n\n".join(text if text.startswith("    ") else wrapped(one_line(text)) for text in texts)


# Commands -------------------------------------------------------------------------------------------------------------


def command_line_page() -> str:
    """Every command with its arguments and options, the plugins' too."""
    root = click.Context(cli, info_name="hub")
    parts = [
        page_head("Command line", "the commands' own help"),
        one_line(inspect.getdoc(cli.callback) or "")
        + " What is printed for a person goes to stdout, progress to stderr.",
        "These options come before the command, `hub --data-dir var up`:",
        options_table(cli, root),
    ]
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        parts += command_sections(command, root, 2)
    for plugin, command in plugin_commands():
        parts += command_sections(command, root, 2, f"\n\nOf the plugin {plugin}.")
    return joined(parts)


def command_sections(command: click.Command, parent: click.Context, level: int, note: str = "") -> list[str]:
    """A command and those below it. A group without options of its own is a heading and its first sentence."""
    context = click.Context(command, info_name=command.name, parent=parent)
    text = one_line(command.help or "")
    parts = [f"{'#' * level} {context.command_path}", wrapped(text) + note]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            parts += command_sections(child, context, min(level + 1, 4))
        return parts
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return [*parts, f"```text\n{usage}\n```", *filter(None, [options_table(command, context)])]


def options_table(command: click.Command, context: click.Context) -> str:
    records = [
        record
        for option in command.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    ]
    rows = [f"| `{in_cell(names)}` | {in_cell(text)} |" for names, text in records]
    return "\n".join(["| Option | |", "|---|---|", *rows]) if rows else ""


def plugin_modules() -> Iterator[tuple[str, ModuleType]]:
    """The plugins that come with the hub, by name."""
    for entry in sorted(entry_points(group="hub.plugins"), key=lambda entry: entry.name):
        if entry.value.startswith("plugins."):
            yield entry.name, entry.load()


def plugin_commands() -> Iterator[tuple[str, click.Command]]:
    for name, module in plugin_modules():
        for command in contributed(module, "commands"):
            yield name, command


def contributed(module: ModuleType, hook: str) -> list[Any]:
    return list(getattr(module, hook)()) if hasattr(module, hook) else []


# Configuration --------------------------------------------------------------------------------------------------------


def configuration_page() -> str:
    """The table and the rules in the docstring of hub.config, and the flags of `hub`."""
    about = inspect.getdoc(hub.config) or ""
    table = [line for line in about.splitlines() if line.startswith("|")]
    rules = one_line(about.partition("\n\n")[2].rpartition("|\n\n")[2])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]
    body = [
        f"| {name if name.startswith('(') else f'`{name}`'} | `{variable}` | {default} |"
        for name, variable, default in rows
    ]
    return joined(
        [
            page_head("Configuration", "hub/config.py"),
            wrapped(
                "A setting comes from a flag, else from the environment, else from the TOML file that `HUB_CONFIG` or "
                "`--config` names, else it has its default. Everything that is wrong is said at once, at the start."
            ),
            "\n".join(["| Name in the file | Environment | Default |", "|---|---|---|", *body]),
            wrapped(rules),
            "## Example",
            '```toml\n# hub.toml\ndatabase_url_file = "database-url"\nredis_url = "redis://queue.internal:6379/0"\n'
            'secret_key_file = "secret-key"\npublic_url = "https://hub.example.com"\nworkers = 4\n```',
            "## Databases",
            wrapped(
                "`database_url` is `postgresql://user:password@host/database` or `sqlite:////path/to/file`. "
                "`redis_url` is `redis://host:6379/0`, `rediss://host:6379/0` or `unix:///path/to/socket`."
            ),
            "## Keys",
            wrapped(
                "`secret_key` is one Fernet key, or several separated by commas or spaces: the first encrypts, all "
                "decrypt. Credentials of connections and settings of plugins are unreadable without it, so keep a copy."
            ),
        ]
    )


# Problems -------------------------------------------------------------------------------------------------------------


def problems_page() -> str:
    """One section per kind of problem, in the order of their status."""
    parts = [
        page_head("Problem types", "hub/web/problems.py"),
        wrapped(
            "An error of the API is `application/problem+json` (RFC 9457). Its `type` is the address of its kind, "
            f"`{TYPES}CODE`, which answers with the text below. `detail` says what happened this time; `code` is the "
            "kind's or a finer one of a rule or a plugin; `errors` points to each wrong field; `request_id` finds it "
            "in the log."
        ),
        f"```json\n{json.dumps(EXAMPLE, indent=2, ensure_ascii=False)}\n```",
    ]
    for kind in KINDS.values():
        parts.append(f"## {kind.code}\n\n**{kind.status} {kind.title}.** {kind.text}")
    return joined(parts)


# Permissions ----------------------------------------------------------------------------------------------------------


def permissions_page() -> str:
    """Roles, and which permission each of them holds."""
    roles = list(Role)
    parts = [
        page_head("Roles and permissions", "hub/access/permissions.py and the plugins"),
        wrapped(
            "A user has one role. An API key acts for its user and holds the user's permissions, or fewer "
            "(`hub key create --scope`). Whatever is not allowed is refused, on pages and in the API alike."
        ),
        "\n".join(["| Role | |", "|---|---|", *(f"| {role} | {ROLE_TEXTS[role]} |" for role in roles)]),
        "## The hub's own",
        permission_table(CORE_PERMISSIONS, roles),
    ]
    for name, module in plugin_modules():
        if permissions := contributed(module, "permissions"):
            parts += [f"## Of the plugin {name}", permission_table(permissions, roles)]
    return joined(parts)


def permission_table(permissions: tuple[Permission, ...] | list[Permission], roles: list[Role]) -> str:
    head = ["| Permission | |" + "".join(f" {role} |" for role in roles), "|---|---|" + ":-:|" * len(roles)]
    rows = [
        f"| `{permission.name}` | {permission.title} |"
        + "".join(" ✓ |" if role in permission.roles else " |" for role in roles)
        for permission in permissions
    ]
    return "\n".join([*head, *rows])


# The quality scale ----------------------------------------------------------------------------------------------------


def quality_scale_page() -> str:
    """Every rule by its level, in its own words, and whether the kit checks it."""
    rules = all_rules().values()
    checked = sum(rule.check is not None for rule in rules)
    parts = [
        page_head("The quality scale of connectors", "hub/testing/conformance"),
        wrapped(
            "The conformance kit grades a connector by these rules; "
            "[Write a connector](../how_to/write_a_connector.md) says how. A level is reached when every rule of it, "
            "and of all levels below, is passed, is waived, or does not apply because the connector lacks what the "
            "rule needs."
        ),
        wrapped(
            f"Of the {len(rules)} rules the kit checks {checked} today. The others are listed as *not yet*: nobody "
            "takes them for passed, so they bar their level for every connector. How far a connector keeps what is "
            "checked is reported beside the grade. A rule marked ‼ protects data, money or secrets and cannot be "
            "waived."
        ),
    ]
    for level in Level:
        rows = [rule_row(rule) for rule in rules if rule.level is level]
        head = ["| Rule | | Needs | Checked |", "|---|---|---|---|"]
        parts += [f"## {level.title}: {MEANING[level]}", "\n".join([*head, *rows])]
    return joined(parts)


def rule_row(rule: Rule) -> str:
    mark, needs = " ‼" if rule.unwaivable else "", rule.needs.replace("_", " ")
    checked = "not yet" if rule.check is None else f"yes, but for {rule.lacks}" if rule.lacks else "yes"
    return f"| {rule.id}{mark} | {in_cell(rule.text)} | {needs} | {checked} |"


# Guarantees -----------------------------------------------------------------------------------------------------------


def guarantees_page() -> str:
    """Each guarantee with the mechanisms that carry it, and the test that falls without each."""
    table = tomllib.loads((Path(__file__).with_name("mechanisms.toml")).read_text(encoding="utf-8"))
    parts = [
        page_head("What is guaranteed, by what, and how that is known", "scripts/mechanisms.toml"),
        wrapped(
            "Each guarantee rests on mechanisms, and each mechanism has a test that falls without it. "
            "`python scripts/remove_mechanisms.py` takes one after the other away, in a copy of the tree, and runs "
            "that test: it fails if a mechanism can be taken away unnoticed. Further tests play the whole under "
            "fire: processes are killed and answers are lost (`tests/test_under_fire.py`), and both sides are edited "
            "at random while calls are open, lost or late and workers die at any step, until both must be equal "
            "(`tests/sync/test_convergence.py`)."
        ),
        "How the mechanisms work together is told in [How a change reaches every system "
        "once](../explanation/exactly_once.md).",
    ]
    for guarantee in table["guarantee"]:
        rows = [
            f"| {in_cell(row['name'])} | `{row['file'].rpartition('/')[2].partition('.')[0]}` | {linked_test(row)} |"
            for row in guarantee["mechanism"]
        ]
        head = ["| By | In | Without it falls |", "|---|---|---|"]
        parts += [f"## {guarantee['number']}. {guarantee['text']}", "\n".join([*head, *rows])]
    return joined(parts)


def linked_test(row: dict[str, str]) -> str:
    file, _, test = row["test"].partition("::")
    return f"[{test.removeprefix('test_').replace('_', ' ')}](../../{file})"


# Text -----------------------------------------------------------------------------------------------------------------


def page_head(title: str, source: str) -> str:
    return f"<!-- Written by scripts/write_reference.py from {source}: change it there. -->\n\n# {title}"


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\b", "")).strip()


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def in_cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def joined(parts: list[str]) -> str:
    """A page: its parts with an empty line between them, long paragraphs wrapped."""
    lines = [part if "\n" in part or part.startswith("#") else wrapped(part) for part in parts]
    return "\n\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "hooks": hooks_page,
    "sdk": sdk_page,
    "command_line": command_line_page,
    "configuration": configuration_page,
    "problems": problems_page,
    "permissions": permissions_page,
    "quality_scale": quality_scale_page,
    "guarantees": guarantees_page,
}

if __name__ == "__main__":
    sys.exit(main())
