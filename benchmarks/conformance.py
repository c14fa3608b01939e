"""The conformance kit on connectors that each break one rule: does that rule find them, and which others do?

The short form tries each on its own rule, the full one each on all rules, thoroughly.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import structlog

from benchmarks.figures import Figure
from benchmarks.firm import report
from hub.testing.conformance.bench import Lab
from hub.testing.conformance.grading import Verdict, try_rule
from hub.testing.conformance.rules import all_rules
from hub.testing.reference.conformance import subject
from tests.testing.conformance.sabotage import SABOTAGED, forget


def measure(full: bool) -> list[Figure]:
    checked = [rule for rule in all_rules().values() if rule.check is not None]
    with tempfile.TemporaryDirectory() as name, structlog.testing.capture_logs():
        folder = Path(name)
        template = Lab(subject(), folder).template
        found = others = 0
        for rule, broken in SABOTAGED.items():
            lab = Lab(broken, folder, template=template, thorough=full)
            for each in checked if full else [all_rules()[rule]]:
                forget()
                failed = try_rule(each, lab).verdict is Verdict.FAIL
                found += failed and each.id == rule
                others += failed and each.id != rule
        kept = [try_rule(each, Lab(subject(), folder, template=template, thorough=True)) for each in checked if full]
    figures = [Figure("connectors with one fault found by the rule for it", found, "", f"{len(SABOTAGED)}")]
    if full:
        figures += [
            Figure("other rules that find the same fault, for each", others / len(SABOTAGED), ""),
            Figure(
                "rules the reference connector keeps", sum(r.verdict is Verdict.PASS for r in kept), "", f"{len(kept)}"
            ),
        ]
    return figures


if __name__ == "__main__":
    report(measure)
