"""Grades the connector that a plugin's module brings, in a process of its own: prints the report as a line of JSON."""

from __future__ import annotations

import contextlib
import json
import sys

from hub.testing.conformance.grading import grade
from hub.testing.conformance.subject import find_subject


def main(target: str) -> None:
    """target: the plugin's module. Prints null where it brings no subject."""
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints must not spoil the answer
        subject = find_subject(target)
        report = None if subject is None else grade(subject).as_json()
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
