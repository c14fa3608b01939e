"""What the author of a connector gets in a test run: a test for each rule, and the grade at its end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TEST = """
from datetime import date
from dataclasses import replace
from hub.testing.conformance import Waiver
from hub.testing.reference.conformance import subject

SUBJECT = replace(subject(), {changes})


def test_conformance(conformance):
    conformance()
"""


@pytest.fixture
def run(tmp_path):
    """Runs a test module for the reference connector with these changes; returns exit code and output."""

    def run_tests(changes, *arguments):
        (tmp_path / "test_it.py").write_text(TEST.format(changes=changes), encoding="utf-8")
        named = ["-p", "hub.testing.pytest_plugin", "-p", "xdist", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-v", *named, *arguments, "test_it.py"]
        # None of the plugins that happen to be installed here: loading them would be most of the time.
        alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run_tests


def test_each_rule_that_applies_is_a_test_and_the_report_names_what_was_not_tried(run):
    code, output = run("", "-k", "B05 or B09", "-n", "1")

    assert code == 0, output
    assert "test_conformance[B05]" in output
    assert "2 passed" in output
    assert "conformance of notebook" in output
    assert "The connector notebook has no grade, and keeps all rules that were tried up to Bronze." in output
    assert "  Bronze (safe to install): 2 pass, 2 n.a., 16 not checked" in output
    assert "  B06 not checked: it was not tried. Right settings are taken" in output


def test_a_rule_that_does_not_apply_is_no_test(run):
    _, output = run("", "--collect-only", "-q")

    assert "[G20]" in output
    assert "[S12]" not in output  # its connector has no oauth


def test_a_fail_says_the_rule_and_what_is_wrong_and_a_waiver_makes_it_a_skip(run):
    waiver = "Waiver('B01', 'The firm has no address for that yet.', 'Ada', date(2999, 1, 1))"

    failed, said = run("owner=''", "-k", "B01")
    waived, skipped = run(f"owner='', waivers=[{waiver}]", "-k", "B01", "-rs")

    assert (failed, waived) == (1, 0)
    assert "B01 It says what it is" in said
    assert "it has no owner" in said
    assert "waived: The firm has no address for that yet. (Ada, until 2999-01-01)" in skipped
