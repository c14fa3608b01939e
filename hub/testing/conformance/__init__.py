"""The conformance kit: grades a connector Bronze, Silver, Gold or Platinum by the rules of the quality scale.

rules      what a rule is; bronze, silver, gold and platinum hold them
subject    what the author gives: Subject, RemoteUser, Waiver
bench      a whole hub and a fake remote, with wire and clock between and above them
grading    tries every rule that applies, and says what came of it

See docs/how_to/write_a_connector.md for how to use it, docs/reference/quality_scale.md for the rules.
"""

from __future__ import annotations

from hub.testing.conformance.bench import Bench
from hub.testing.conformance.grading import Report, Result, Verdict, grade
from hub.testing.conformance.rules import Broken, DoesNotHappen, Level, NotShown, Rule, all_rules
from hub.testing.conformance.subject import RemoteUser, Subject, Waiver, find_subject
from hub.testing.conformance.wire import Trouble

__all__ = [
    "Bench",
    "Broken",
    "DoesNotHappen",
    "Level",
    "NotShown",
    "RemoteUser",
    "Report",
    "Result",
    "Rule",
    "Subject",
    "Trouble",
    "Verdict",
    "Waiver",
    "all_rules",
    "find_subject",
    "grade",
]
