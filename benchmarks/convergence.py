"""Both sides edited at random while calls are lost and workers die: is there a way on which they do not converge?

The short form tries what the tests try, the full one three hundred ways on each database, to the first that fails.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.figures import Figure, stopwatch
from benchmarks.firm import report

TEST = "tests/sync/test_convergence.py"


def measure(full: bool) -> list[Figure]:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", TEST, *(["--hypothesis-profile=bench"] if full else [])]
    with stopwatch() as tried:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    ways = 300 if full else 8
    name = f"random ways that left both sides unequal, of {ways} on each database, to the first"
    return [
        Figure(name, float(done.returncode != 0), "", "0"),
        Figure("time for it", tried.seconds, "s"),
    ]


if __name__ == "__main__":
    report(measure)
