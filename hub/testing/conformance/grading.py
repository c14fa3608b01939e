"""Tries the rules on a connector and makes a grade of what came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog

from hub.core.errors import HubError
from hub.testing.conformance.bench import Lab
from hub.testing.conformance.rules import MEANING, DoesNotHappen, Level, NotShown, Rule, all_rules
from hub.testing.conformance.subject import Subject

log = structlog.get_logger("hub.testing")


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_APPLICABLE = "n.a."
    WAIVED = "waived"
    NOT_CHECKED = "not checked"


GOOD = (Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.WAIVED)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one rule. reason: why it is not a pass."""

    rule: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """What came of all rules.

    grade: the highest level of which, and of all below, every rule is passed, waived or does not apply. keeps_up_to:
    the same for those rules only that were tried. It is no grade: what nobody has looked at is not passed.
    """

    connector: str
    results: Sequence[Result]

    @property
    def grade(self) -> Level | None:
        return self._reached((*GOOD,))

    @property
    def keeps_up_to(self) -> Level | None:
        return self._reached((*GOOD, Verdict.NOT_CHECKED))

    @property
    def missing(self) -> list[Result]:
        """What stands between the connector and the next level."""
        following = Level((self.grade or 0) + 1) if self.grade is not Level.PLATINUM else None
        return [result for result in self.of(following) if result.verdict not in GOOD] if following else []

    def of(self, level: Level) -> list[Result]:
        return [result for result in self.results if all_rules()[result.rule].level is level]

    def _reached(self, good: Iterable[Verdict]) -> Level | None:
        reached: Level | None = None
        for level in Level:
            found = self.of(level)
            if any(result.verdict not in good for result in found):
                return reached
            if not any(result.verdict is Verdict.PASS for result in found):
                return reached
            reached = level
        return reached

    def lines(self) -> list[str]:
        """The report for people: the grade, a line for each level, and what keeps it from the next."""
        lines = [self.sentence()]
        for level in Level:
            counts = {verdict: [r.rule for r in self.of(level) if r.verdict is verdict] for verdict in Verdict}
            told = [f"{len(ids)} {verdict}" for verdict, ids in counts.items() if ids]
            lines.append(f"  {level.title} ({MEANING[level]}): {', '.join(told) or 'nothing tried'}")
        if self.missing:
            following = all_rules()[self.missing[0].rule].level
            lines.append(f"Missing for {following.title}:")
            lines += [f"  {each.rule} {each.verdict}: {each.reason}" for each in self.missing]
        further = [r for r in self.results if r.verdict is Verdict.FAIL and r not in self.missing]
        if further:
            lines.append("Failed above that:")
            lines += [f"  {each.rule}: {each.reason}" for each in further]
        return lines

    def sentence(self) -> str:
        grade = self.grade.title if self.grade else "no grade"
        kept = self.keeps_up_to if self.keeps_up_to != self.grade else None
        aside = f", and keeps all rules that were tried up to {kept.title}" if kept else ""
        return f"The connector {self.connector} has {grade}{aside}."

    def as_json(self) -> dict[str, Any]:
        return {
            "connector": self.connector,
            "grade": self.grade.title if self.grade else None,
            "keeps_up_to": self.keeps_up_to.title if self.keeps_up_to else None,
            "missing": [asdict(result) for result in self.missing],
            "results": [asdict(result) for result in self.results],
            "lines": self.lines(),
        }


def grade(subject: Subject, *, folder: Path | None = None, rules: Iterable[str] | None = None) -> Report:
    """Try the rules (all of them unless named) and report. folder: where it may write meanwhile."""
    with tempfile.TemporaryDirectory(dir=folder) as name, structlog.testing.capture_logs():
        lab = Lab(subject, Path(name))
        chosen = list(all_rules()) if rules is None else list(rules)
        return Report(subject.connector.name, [try_rule(all_rules()[id], lab) for id in chosen])


def try_rule(rule: Rule, lab: Lab) -> Result:
    """Try one rule; a fail that is waived says so."""
    result = _tried(rule, lab)
    if result.verdict is not Verdict.FAIL:
        return result
    for waiver in lab.subject.waivers:
        if waiver.rule != rule.id:
            continue
        if waiver.until >= date.today():  # noqa: DTZ011
            why = f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
            return Result(rule.id, Verdict.WAIVED, f"{why}. Without the waiver: {result.reason}")
        return Result(rule.id, Verdict.FAIL, f"{result.reason} (Its waiver ended on {waiver.until}.)")
    return result


def untried(rule: Rule, capabilities: frozenset[str]) -> Result:
    """What is to be said of a rule that was not tried."""
    if rule.needs and rule.needs not in capabilities:
        return Result(rule.id, Verdict.NOT_APPLICABLE, f"the connector has no {rule.needs}")
    reason = "it was not tried" if rule.check else "the kit does not check it yet"
    return Result(rule.id, Verdict.NOT_CHECKED, f"{reason}. {rule.text}")


def _tried(rule: Rule, lab: Lab) -> Result:
    if rule.check is None or (rule.needs and rule.needs not in lab.subject.capabilities):
        return untried(rule, lab.subject.capabilities)
    try:
        rule.check(lab)
    except NotShown as lacking:
        return Result(rule.id, Verdict.NOT_CHECKED, f"{lacking}")
    except DoesNotHappen as absent:
        return Result(rule.id, Verdict.NOT_APPLICABLE, f"{absent}")
    except AssertionError as broken:
        return Result(rule.id, Verdict.FAIL, str(broken) or "an assertion failed")
    except HubError as failure:
        return Result(rule.id, Verdict.FAIL, f"{type(failure).__name__}: {failure}")
    except Exception as failure:
        log.warning("a rule ended with an error", rule=rule.id, exc_info=failure)
        return Result(rule.id, Verdict.FAIL, f"the connector or its fake remote failed: {failure!r}")
    return Result(rule.id, Verdict.PASS)
