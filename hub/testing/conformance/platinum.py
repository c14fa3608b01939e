"""Platinum: can be operated at scale."""

from __future__ import annotations

import importlib.util
import inspect
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from hub.plugin_host import check_implementations
from hub.testing.conformance.bench import Bench, Lab
from hub.testing.conformance.rules import NotShown, expect, not_checked_yet, rule
from hub.tracing import new_trace, traced

TYPING_TIMEOUT_S = 300
HOOK_MS, TIMES = 5.0, 100


@rule("P01", "It passes strict type checking.")
def types_are_strict(lab: Lab) -> None:
    if importlib.util.find_spec("mypy") is None:
        raise NotShown("mypy is not installed here")
    source = inspect.getsourcefile(lab.subject.connector)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TYPING_TIMEOUT_S)
    first = next((line for line in done.stdout.splitlines() if ": error:" in line), done.stderr.strip())
    expect(
        done.returncode == 0, f"strict type checking finds {done.stdout.count(': error:')} errors, the first: {first}"
    )


@rule("P02", "All its calls go by the HTTP client that the hub gives it, so that limits and traces hold.")
def calls_go_by_the_hub(lab: Lab) -> None:
    with lab.bench() as bench:
        _all_kinds_of_calls(bench)
        through = len(_calls(bench))
        expect(
            through == len(bench.wire.sent), f"{len(bench.wire.sent)} calls arrive, {through} went by the hub's client"
        )


@rule("P03", "Every call over there is one span of a trace that began in the hub.")
def calls_are_traced(lab: Lab) -> None:
    with lab.bench() as bench:
        trace = new_trace()
        with traced(trace):
            _all_kinds_of_calls(bench)
        lost = [call for call in _calls(bench) if call.get("trace") != trace]
        expect(not lost, f"{len(lost)} calls belong to no trace, the first: {lost[:1]}")
        spans = [call["span"] for call in _calls(bench)]
        expect(spans and len(set(spans)) == len(spans), "two calls have one span")


def _all_kinds_of_calls(bench: Bench) -> None:
    _ = bench.connection
    for stream in bench.subject.pulled:
        bench.seed(stream, 7)
    for stream in bench.sendable:
        bench.firm.make(stream)
    bench.run()
    bench.push_until_done()
    bench.connector.check()


def _calls(bench: Bench) -> list[Mapping[str, Any]]:
    return [entry for entry in bench.log if entry["event"] in ("call", "call failed")]


@rule("P04", "Hooks on the way of a request make no call, and 95 % of them take under 5 ms.")
def hooks_are_quick(lab: Lab) -> None:
    """Those that contribute something, which a request asks for: they take no arguments."""
    module = lab.subject.module
    with lab.bench() as bench:
        for name in check_implementations(module):
            hook = getattr(module, name)
            if inspect.signature(hook).parameters:
                continue
            took: list[float] = []
            for _ in range(TIMES):
                started = time.perf_counter()
                hook()
                took.append((time.perf_counter() - started) * 1000)
            slow = statistics.quantiles(took, n=20)[-1]
            expect(slow < HOOK_MS, f"one in twenty calls of its hook {name} takes {slow:.1f} ms")
        expect(not bench.wire.sent, "one of its hooks calls the other system")


not_checked_yet("P05", "Settings, streams and cursors of the last release still work, or a guide says what to do.")
not_checked_yet("P06", "A thousand random courses of edits, faults and deaths all end with both sides equal.")
not_checked_yet("P07", "A simulated day of work lets no memory, lock or open error grow.")
not_checked_yet("P08", "Its throughput and lag are published, as measured by the kit.")
not_checked_yet("P09", "Its texts can be translated, and no zone, currency or date format is fixed in it.")
not_checked_yet("P10", "A page of what it can do is made from the results of the kit.")


not_checked_yet("P11", "Its configuration goes out and in again unchanged to the byte.")
not_checked_yet("P12", "Its diagnostics hold no secret, and enough to play a failure again on the fake remote.")
