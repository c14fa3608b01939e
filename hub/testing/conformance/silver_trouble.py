"""Silver: a system that is down is left alone, and found back."""

from __future__ import annotations

from unittest import mock

from hub.testing.conformance.bench import A_WHILE_S, Bench, Lab
from hub.testing.conformance.rules import expect, rule
from hub.testing.conformance.wire import AWAY

MOST_TRIES = 20
A_SECOND_S = 1.0


@rule("S19", "A connection that is down is tried by one call now and then, and said in two log lines.")
def a_system_that_is_down_is_left_alone(lab: Lab) -> None:
    # Pauses have their full length, so that three sweeps fit into each.
    with lab.bench() as bench, mock.patch("hub.sync.settle.random.uniform", lambda shortest, longest: longest):
        _ = bench.connection
        for stream in lab.subject.pulled:
            bench.seed(stream, 1)
        bench.sign_in()
        bench.wire.plan(AWAY, times=1_000_000)
        _work(bench, MOST_TRIES)
        expect(
            _said(bench, "connection is left alone") == 1,
            f"down, it is called {_calls(bench)} times and not left alone",
        )
        before = _calls(bench)
        _work(bench, 3)
        expect(_calls(bench) == before, "left alone, it is called all the same")
        for _ in range(2):
            before = _calls(bench)
            bench.clock.advance(A_WHILE_S)
            _work(bench, 3)
            expect(
                _calls(bench) == before + 1, f"after its pause it is tried by {_calls(bench) - before} calls at once"
            )
        bench.wire.clear()
        bench.clock.advance(A_WHILE_S)
        _work(bench, 3)
        for said in ("connection is left alone", "connection answers again"):
            expect(_said(bench, said) == 1, f"“{said}” is in the log {_said(bench, said)} times")


def _work(bench: Bench, times: int) -> None:
    """What workers do in as many sweeps, a second apart; there is always something to read or to send."""
    for _ in range(times):
        for stream in bench.sendable if not bench.subject.pulled else ():
            bench.firm.make(stream)
        bench.read_again()
        bench.another_worker()
        bench.clock.advance(A_SECOND_S)


def _calls(bench: Bench) -> int:
    return sum(not sent.signs_in for sent in bench.wire.sent)


def _said(bench: Bench, event: str) -> int:
    return sum(entry["event"] == event for entry in bench.log)
