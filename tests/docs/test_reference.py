"""The reference is complete and current, and the lists that people keep by hand name everything."""

from __future__ import annotations

import importlib.util
import re
from decimal import Decimal
from pathlib import Path

import pytest

from hub.cli.lazy import COMMANDS
from hub.config import MAY_BE_SECRET, NAMES
from hub.core import hookspecs
from hub.testing.kit import an_invoice
from hub.web.problems import KINDS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_reference = load_script("write_reference")


@pytest.mark.parametrize("name", write_reference.PAGES)
def test_a_generated_page_is_what_the_script_writes(name):
    written = (REFERENCE / f"{name}.md").read_text(encoding="utf-8")

    assert written == write_reference.PAGES[name](), "run scripts/write_reference.py"


def headings(page):
    return re.findall(r"^#+ (.+)$", (REFERENCE / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_hook_has_a_section():
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "hub_spec")}

    assert hooks <= set(headings("hooks.md"))


def test_every_command_has_a_section():
    assert {f"hub {name}" for name in COMMANDS} <= set(headings("command_line.md"))


def test_every_kind_of_problem_has_a_section():
    assert headings("problems.md")[1:] == list(KINDS)


def test_every_decision_is_listed_once_under_its_number():
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("0*.md"))
    listed = re.findall(
        r"^(\d+)\. \[[^\]]+\]\((\S+)\)", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert [name for _, name in listed] == pages
    assert [int(name[:4]) for name in pages] == [int(number) for number, _ in listed]


def test_every_page_is_reachable_from_the_table_of_contents():
    start = ROOT / "docs" / "README.md"
    seen, ahead = set(), [start]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)[^)]*\)", page.read_text(encoding="utf-8")):
            found = (page.parent / target).resolve()
            if found not in seen and ROOT / "docs" in found.parents:
                ahead.append(found)

    assert set((ROOT / "docs").rglob("*.md")) - seen == set()


@pytest.mark.parametrize(
    ("total", "refused"),
    [("50000.00", False), ("50000.01", True)],
)
def test_the_plugin_of_the_readme_refuses_large_invoices(total, refused):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    plugin = {}
    exec(re.search(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)[1], plugin)

    assert bool(plugin["check_invoice"](an_invoice(total=Decimal(total)))) is refused


def test_the_pictures_are_small_enough_to_load():
    pictures = list((ROOT / "docs" / "pictures").glob("*.png"))

    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []


def test_every_variable_that_a_page_names_is_one_the_hub_reads():
    known = {f"HUB_{name.upper()}" for name in NAMES} | {f"HUB_{name.upper()}_FILE" for name in MAY_BE_SECRET}
    named = {
        name
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
        for name in re.findall(r"\bHUB_[A-Z_]+\b", page.read_text(encoding="utf-8"))
    }

    assert named - known == {"HUB_CONFIG", "HUB_CHROMIUM"}


def test_every_unit_of_the_guide_starts_a_command_there_is():
    guide = (ROOT / "docs" / "how_to" / "run_in_production.md").read_text(encoding="utf-8")
    started = re.findall(r"^ExecStart=\S+/hub (\w+)$", guide, re.MULTILINE)

    assert sorted(started) == ["scheduler", "web", "worker"]
    assert set(started) <= set(COMMANDS)
