"""The kit itself: the reference keeps every rule that is checked, and each rule finds the connector that breaks it."""

from __future__ import annotations

import os
import time

import pytest
import structlog

from hub.testing.conformance.bench import Lab
from hub.testing.conformance.grading import Verdict, try_rule
from hub.testing.conformance.rules import all_rules
from hub.testing.reference.conformance import subject
from tests.testing.conformance import sabotage_backfill
from tests.testing.conformance.sabotage import SABOTAGED, forget

assert sabotage_backfill  # adds to what is sabotaged

CHECKED = [rule.id for rule in all_rules().values() if rule.check is not None]
NEIGHBOURS = {"B": "B05 B12", "S": "B12 S06", "G": "B12 G11", "P": "B12 G11"}
"""Quick rules of a kind, which a connector that breaks another one keeps; `make bench-full` tries all on all."""
OTHER_NEIGHBOURS = {
    "B05": "B09 B12",
    "B12": "B05 B09",
    "B03": "B05 B19",
    "S02": "B12 S01",
    "S06": "B12 S01",
    "S08": "B05 S06",
    "G11": "B12 G04",
}


@pytest.fixture(autouse=True)
def host_in_utc(monkeypatch):
    """A connector that asks in its host's time is right where that is UTC, and so keeps the other rules."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def tried(tmp_path, sqlite_template):
    """What comes of a rule, tried quickly."""

    def result(rule, on):
        forget()
        with structlog.testing.capture_logs():
            return try_rule(all_rules()[rule], Lab(on, tmp_path, template=sqlite_template, thorough=False))

    return result


@pytest.mark.parametrize("rule", CHECKED)
def test_the_reference_keeps_the_rule(rule, tried):
    result = tried(rule, subject())

    assert (result.verdict, result.reason) == (Verdict.PASS, "")


@pytest.mark.parametrize("rule", SABOTAGED)
def test_a_connector_that_breaks_the_rule_is_found_by_it_and_not_by_its_neighbours(rule, tried):
    neighbours = OTHER_NEIGHBOURS.get(rule, NEIGHBOURS[rule[0]]).split()
    result = tried(rule, SABOTAGED[rule])
    verdicts = {each: tried(each, SABOTAGED[rule]).verdict for each in neighbours}

    assert result.verdict == Verdict.FAIL
    assert "failed: " not in result.reason  # by what the rule looks for, not by an error in between
    assert set(verdicts.values()) == {Verdict.PASS}, verdicts


def test_each_rule_that_is_checked_has_a_connector_that_breaks_it():
    assert sorted(CHECKED) == sorted({*SABOTAGED, "B02"})  # B02 has tests of its own


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        (
            "import threading, sqlite3, socket\nthreading.Thread(target=print).start()\nsqlite3.connect(':memory:')\n"
            "socket.socket().connect_ex(('127.0.0.1', 9))\nopen('left-behind', 'w').close()",
            "start a thread, sqlite3.connect, socket.connect, write left-behind",
        ),
        ("import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass", "s of processor time"),
        ("raise RuntimeError('no')", "cannot be imported: RuntimeError: no"),
    ],
)
def test_an_import_that_does_something_is_found(deed, found, tried, tmp_path, monkeypatch):
    (tmp_path / "does_something.py").write_text(f"{deed}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)

    result = tried("B02", type(subject())(**{**vars(subject()), "plugin": "does_something"}))

    assert result.verdict == Verdict.FAIL
    assert found in result.reason
