"""Plugins as they are installed: a distribution in a temporary folder on the path, with its entry points."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from textwrap import dedent


class Distribution:
    """Write modules into it; each is an entry point of the group with the module's name."""

    def __init__(self, folder: Path, group: str = "hub.plugins") -> None:
        self.folder, self.group = folder, group
        self._info = folder / "trial_plugins-1.0.dist-info"
        self._info.mkdir(parents=True)
        (self._info / "METADATA").write_text("Metadata-Version: 2.1\nName: trial-plugins\nVersion: 1.0\n")
        self.modules: list[str] = []

    def add(self, module: str, source: str) -> str:
        (self.folder / f"{module}.py").write_text(dedent(source))
        self.modules.append(module)
        lines = "".join(f"{name} = {name}\n" for name in self.modules)
        (self._info / "entry_points.txt").write_text(f"[{self.group}]\n{lines}")
        importlib.invalidate_caches()
        return module

    def describe(self, *, version: str = "1.0", requires: str = "") -> None:
        """Let it be this version, for these versions of the hub ("<0.3")."""
        text = f"Metadata-Version: 2.1\nName: trial-plugins\nVersion: {version}\n"
        text += f"Requires-Dist: flask\nRequires-Dist: PSA_Hub{requires}\n" if requires else ""
        (self._info / "METADATA").write_text(text)

    def install(self, monkeypatch) -> None:
        """On this process' path and on that of those it starts; taken back with the test."""
        known = os.environ.get("PYTHONPATH")
        monkeypatch.syspath_prepend(str(self.folder))
        monkeypatch.setenv("PYTHONPATH", f"{self.folder}{os.pathsep}{known}" if known else str(self.folder))

    def forget(self) -> None:
        for module in self.modules:
            sys.modules.pop(module, None)
