from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub.core.errors import PermanentFailure, RuleBroken
from hub.testing.conformance.grading import Report, Result, Verdict, try_rule
from hub.testing.conformance.rules import Broken, Level, NotShown, Rule, all_rules
from hub.testing.conformance.subject import Waiver

IN_A_MONTH = date.today() + timedelta(days=30)


def report(**verdicts):
    """Everything passed but what is said; `B="fail"` says it of all rules of a level."""
    return Report(
        "example", [Result(id, Verdict(verdicts.get(id, verdicts.get(id[0], "pass"))), "why") for id in all_rules()]
    )


@pytest.mark.parametrize(
    ("verdicts", "grade", "keeps_up_to"),
    [
        ({}, Level.PLATINUM, Level.PLATINUM),
        ({"P05": "fail"}, Level.GOLD, Level.GOLD),
        ({"S03": "fail"}, Level.BRONZE, Level.BRONZE),  # what is above counts for nothing
        ({"B05": "fail"}, None, None),
        ({"S03": "waived", "G21": "n.a."}, Level.PLATINUM, Level.PLATINUM),
        ({"S19": "not checked"}, Level.BRONZE, Level.PLATINUM),  # unseen is not passed
        ({"S19": "not checked", "G01": "fail"}, Level.BRONZE, Level.SILVER),
        ({"P": "not checked"}, Level.GOLD, Level.GOLD),  # nobody has looked at any of it
    ],
)
def test_the_grade_is_the_highest_level_with_nothing_against_it_or_below(verdicts, grade, keeps_up_to):
    made = report(**verdicts)

    assert (made.grade, made.keeps_up_to) == (grade, keeps_up_to)


def test_what_is_missing_is_said_of_the_next_level_only():
    made = report(S03="fail", S19="not checked", G01="fail", B05="waived")

    assert [result.rule for result in made.missing] == ["S03", "S19"]


def test_a_report_for_people_names_the_grade_each_level_and_what_is_missing():
    lines = report(S19="not checked", G01="fail", P="not checked").lines()

    assert lines[0] == "The connector example has Bronze, and keeps all rules that were tried up to Silver."
    assert lines[1].startswith("  Bronze (safe to install): 20 pass")
    assert "Missing for Silver:" in lines
    assert "  S19 not checked: why" in lines
    assert lines[-2:] == ["Failed above that:", "  G01: why"]


# One rule -------------------------------------------------------------------------------------------------------------


def raising(failure):
    def check(lab):
        raise failure

    return check


def lab(*waivers):
    return SimpleNamespace(subject=SimpleNamespace(waivers=waivers, capabilities=frozenset({"pull"})))


@pytest.mark.parametrize(
    ("rule", "verdict", "reason"),
    [
        (Rule("S03", "It reads.", check=lambda lab: None), "pass", ""),
        (Rule("S03", "It reads.", check=raising(Broken("it does not"))), "fail", "it does not"),
        (Rule("S03", "It reads.", check=raising(PermanentFailure("No."))), "fail", "PermanentFailure: No."),
        (Rule("S03", "It reads.", check=raising(KeyError("x"))), "fail", "failed: KeyError('x')"),
        (Rule("S03", "It reads.", check=raising(NotShown("no `stamp`"))), "not checked", "no `stamp`"),
        (Rule("S03", "It reads."), "not checked", "the kit does not check it yet. It reads."),
        (Rule("S03", "It writes.", needs="push", check=lambda lab: None), "n.a.", "the connector has no push"),
    ],
)
def test_what_comes_of_a_rule(rule, verdict, reason):
    result = try_rule(rule, lab())

    assert (result.verdict, result.reason[-len(reason) :] if reason else result.reason) == (verdict, reason)


# Waivers --------------------------------------------------------------------------------------------------------------

REASON = "The vendor shows no time of change at all."


def test_a_fail_with_a_waiver_is_waived_and_still_says_what_fails():
    broken = Rule("S03", "It reads.", check=raising(Broken("it does not")))

    result = try_rule(broken, lab(Waiver("S03", REASON, "Ada Lovelace", IN_A_MONTH)))

    assert result.verdict == Verdict.WAIVED
    assert REASON in result.reason and "Ada Lovelace" in result.reason and "it does not" in result.reason


def test_a_waiver_ends_on_its_day():
    broken = Rule("S03", "It reads.", check=raising(Broken("it does not")))
    yesterday = date.today() - timedelta(days=1)

    result = try_rule(broken, lab(Waiver("S03", REASON, "Ada Lovelace", yesterday)))

    assert result.verdict == Verdict.FAIL
    assert f"Its waiver ended on {yesterday}" in result.reason


def test_a_waiver_passes_nothing_that_nobody_checks():
    assert try_rule(Rule("S03", "It reads."), lab(Waiver("S03", REASON, "Ada", IN_A_MONTH))).verdict == "not checked"


@pytest.mark.parametrize(
    ("rule", "reason", "owner", "field"),
    [
        ("S03", "Not needed.", "Ada", "reason"),
        ("S03", " " * 30, "Ada", "reason"),
        ("S03", REASON, " ", "owner"),
        ("X99", REASON, "Ada", "rule"),
    ],
)
def test_a_waiver_needs_a_rule_a_reason_and_an_owner(rule, reason, owner, field):
    with pytest.raises(RuleBroken) as refused:
        Waiver(rule, reason, owner, IN_A_MONTH)

    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize("rule", [rule.id for rule in all_rules().values() if rule.unwaivable])
def test_what_is_unwaivable_cannot_be_waived(rule):
    with pytest.raises(RuleBroken, match=f"{rule} cannot be waived"):
        Waiver(rule, REASON, "Ada", IN_A_MONTH)


# The list of rules ----------------------------------------------------------------------------------------------------


def test_every_rule_of_the_quality_scale_is_listed():
    counts = {level: sum(rule.level is level for rule in all_rules().values()) for level in Level}

    assert counts == {Level.BRONZE: 20, Level.SILVER: 26, Level.GOLD: 29, Level.PLATINUM: 12}
    assert len(all_rules()) == 87


def test_the_rules_that_protect_data_cannot_be_waived():
    unwaivable = " ".join(rule.id for rule in all_rules().values() if rule.unwaivable)

    assert unwaivable == (
        "B02 B07 B13 B14 B15 S01 S02 S07 S09 S10 S12 S17 S20 S21 G01 G02 G03 G09 G12 G13 G14 G16 G20 G26"
    )


def test_the_reference_is_documented_where_its_subject_says():
    from hub.testing.reference.conformance import subject

    assert Path(subject().docs).read_text(encoding="utf-8").startswith("# Notebook")
