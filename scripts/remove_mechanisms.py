"""Take each mechanism of `mechanisms.toml` away in turn, and show the test that falls.

.venv/bin/python scripts/remove_mechanisms.py            all of them, in a temporary copy of the tree
.venv/bin/python scripts/remove_mechanisms.py lease 8    those with a word in their name, or of a guarantee

Exit code 1 if one can be taken away unnoticed, if its test fails anyway, or if its text is not where it should be.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("mechanisms.toml")
PATIENCE_S = 300
"""A test that hangs without a mechanism has failed too."""


class Mechanism(NamedTuple):
    """A row of the table."""

    guarantee: int
    name: str
    file: str
    before: str
    after: str
    test: str
    database: str = "sqlite"


def main() -> int:
    """Try the chosen mechanisms, print each with what became of its test, and say how many are proved."""
    chosen = [each for each in mechanisms() if _is_chosen(each, sys.argv[1:])]
    faults = [fault for each in chosen if (fault := fault_of(each, ROOT))]
    if faults or not chosen:
        print("\n".join(faults) or "No mechanism is called so.")
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hub-mechanisms-") as name:
        tree = Path(name)
        _copy(tree)
        broken = [each for each in _in_turn(chosen, tree) if each]
    print(f"{len(chosen) - len(broken)} of {len(chosen)} mechanisms proved in {time.monotonic() - started:.0f} s.")
    return 1 if broken else 0


def mechanisms() -> list[Mechanism]:
    """The rows of the table, guarantee by guarantee."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [Mechanism(each["number"], **row) for each in table["guarantee"] for row in each["mechanism"]]


def fault_of(mechanism: Mechanism, root: Path) -> str:
    """Why a row says nothing of the tree as it is now; empty if it does."""
    source = (root / mechanism.file).read_text(encoding="utf-8")
    if (times := source.count(mechanism.before)) != 1:
        return f"{mechanism.name}: its text stands {times} times in {mechanism.file}, not once."
    try:
        ast.parse(source.replace(mechanism.before, mechanism.after))
    except SyntaxError as failure:
        return f"{mechanism.name}: without it {mechanism.file} is no Python any more ({failure.msg})."
    file, _, test = mechanism.test.partition("::")
    tests = (root / file).read_text(encoding="utf-8") if (root / file).is_file() else ""
    if not re.search(rf"^def {re.escape(test.partition('[')[0])}\(", tests, re.MULTILINE):
        return f"{mechanism.name}: there is no test {mechanism.test}."
    return ""


def _is_chosen(mechanism: Mechanism, words: Sequence[str]) -> bool:
    return not words or any(
        word == str(mechanism.guarantee) if word.isdigit() else word in mechanism.name for word in words
    )


def _copy(tree: Path) -> None:
    """The files that git knows or would take, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _in_turn(chosen: Sequence[Mechanism], tree: Path) -> Iterator[bool]:
    """Whether each is not proved. All tests pass first, together, so that a fall means something."""
    for database in sorted({each.database for each in chosen}):
        tests = list(dict.fromkeys(each.test for each in chosen if each.database == database))
        if (fallen := _run(tree, tests, database)) is not False:
            print(f"On {database} some of the tests do not pass as it is: {fallen}")
            sys.exit(1)
    for each in chosen:
        with _without(each, tree):
            fallen = _run(tree, [each.test], each.database)
        verdict = {False: "UNNOTICED", True: "falls"}.get(fallen, str(fallen))
        print(f"{each.guarantee:>2}  {verdict:<9}  {each.name}\n{'':15}{each.test}", flush=True)
        yield fallen is not True


@contextmanager
def _without(mechanism: Mechanism, tree: Path) -> Iterator[None]:
    path = tree / mechanism.file
    source = path.read_text(encoding="utf-8")
    _write(path, source.replace(mechanism.before, mechanism.after))
    try:
        yield
    finally:
        _write(path, source)


def _write(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()  # which would count as current if size and second are the same


def _run(tree: Path, tests: Sequence[str], database: str) -> bool | str:
    """Whether one of the tests failed; a sentence if they could not be run."""
    environ = {**os.environ, "PYTHONPATH": str(tree), "HUB_TEST_DATABASES": database}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=PATIENCE_S if len(tests) == 1 else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True
    if process.returncode == 1 and re.search(r"\d+ failed", out):
        return True
    if process.returncode == 0 and re.search(r"\d+ passed", out):
        return False
    return out[-2000:]


if __name__ == "__main__":
    sys.exit(main())
