"""`hub plugin check` grades a connector that brings what the conformance kit needs."""

from __future__ import annotations

import pytest

from hub.cli.scaffold import write_plugin
from tests.cli.test_scaffold import install

CONNECTOR = """
from hub.testing.reference import connectors
"""
QUICK_SUBJECT = """
from hub.testing.conformance import grading
from hub.testing.reference.conformance import subject as reference

# In this process the kit has one rule, so that the test of the command is quick.
grading.all_rules = lambda rules=grading.all_rules(): {"B05": rules["B05"]}


def subject():
    print("what a plugin prints spoils nothing")
    return reference()
"""


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A plugin with a connector, installed; what stands in its module for the kit, if anything."""

    def make(conformance=None):
        folder = write_plugin("notebook", tmp_path)
        (folder / "hub_notebook.py").write_text(CONNECTOR, encoding="utf-8")
        if conformance is not None:
            (folder / "hub_notebook_conformance.py").write_text(conformance, encoding="utf-8")
        install(folder, tmp_path / "site", monkeypatch)

    return make


def test_the_grade_and_what_is_missing_are_printed(hub, notebook):
    notebook(QUICK_SUBJECT)

    answer = hub("plugin", "check", "notebook")

    assert answer.out.startswith(
        "The plugin notebook is fine: it implements connectors. It connects to Notebook (notebook"
    )
    assert "The connector notebook has Bronze.\n  Bronze (safe to install): 1 pass\n" in answer.out


def test_programs_get_the_whole_report(hub, notebook):
    notebook(QUICK_SUBJECT)

    answer = hub("plugin", "check", "notebook", "--json").json

    assert answer["conformance"]["grade"] == "Bronze"
    assert answer["conformance"]["results"] == [{"rule": "B05", "verdict": "pass", "reason": ""}]


def test_a_connector_that_brings_nothing_for_the_kit_is_not_graded(hub, notebook):
    notebook()

    answer = hub("plugin", "check", "notebook")

    assert answer.out.endswith(
        "It is not graded: it brings no module `conformance`; see docs/how_to/write_a_connector.md.\n"
    )


def test_a_subject_that_cannot_be_made_is_said_in_one_sentence(hub, notebook):
    notebook("def subject():\n    raise KeyError('no sandbox')\n")

    answer = hub("plugin", "check", "notebook", code=1)

    assert "hub_notebook cannot be graded: KeyError: 'no sandbox'" in answer.err
    assert "Traceback" not in answer.err
