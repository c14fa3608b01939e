"""`hub plugin new NAME`: a small plugin that loads, with a test that passes."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
from pathlib import Path
from string import Template

from packaging.version import Version

from hub.core.errors import RuleBroken, SetupError
from hub.plugin_host import HUB_VERSION

TEMPLATE = Path(__file__).parent / "template"
NAMES = {"plugin.py.txt": "hub_{name}.py", "test_plugin.py.txt": "tests/test_hub_{name}.py"}


def write_plugin(name: str, into: Path) -> Path:
    """Write the folder hub-NAME. Nothing that is there is written over. Raises RuleBroken, SetupError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise RuleBroken(
            f"“{name}” cannot be a plugin's name: use small letters, digits and _, beginning with a letter.",
            fields={"name": "such as chat or time_clock"},
        )
    if f"hub_{name}" in sys.stdlib_module_names:
        raise RuleBroken(f"“hub_{name}” is a module of Python: choose another name.", fields={"name": "is taken"})
    folder = into / f"hub-{name.replace('_', '-')}"
    if folder.exists():
        raise RuleBroken(f"{folder} is there already: choose another name, or move it away.")
    try:
        _write(name, folder)
    except OSError as failure:
        raise SetupError(f"{folder} cannot be written: {failure.strerror}.") from failure
    return folder


def _write(name: str, folder: Path) -> None:
    """All of it or nothing: the folder appears with its last file."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
        for source in sorted(TEMPLATE.iterdir()):
            known = NAMES.get(source.name, source.name.removesuffix(".txt"))
            target = Path(draft) / "new" / known.format(name=name)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = Template(source.read_text(encoding="utf-8")).substitute(
                name=name, folder=folder.name, versions=_versions(HUB_VERSION)
            )
            target.write_text(text, encoding="utf-8")
        shutil.move(Path(draft) / "new", folder)


def _versions(version: str) -> str:
    """The versions of the hub that a plugin written now is for: up to the next that may break it (semver.org)."""
    now = Version(version)
    breaking = f"{now.major + 1}" if now.major else f"0.{now.minor + 1}"
    return f">={now.major}.{now.minor},<{breaking}"
