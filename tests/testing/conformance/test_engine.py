"""What the rules of the quality scale ask of the engine itself."""

from __future__ import annotations

import pytest

from hub.testing.conformance.bench import A_WHILE_S, Lab
from hub.testing.reference.conformance import subject


@pytest.fixture
def bench(tmp_path, sqlite_template):
    with Lab(subject(), tmp_path, template=sqlite_template).bench() as bench:
        yield bench


def test_an_update_refused_as_stale_goes_out_on_the_new_version_though_nothing_we_read_has_changed(bench):
    record_id = bench.firm.make("clients")
    bench.push_until_done()
    bench.run()
    (link,) = bench.links("clients")
    name = bench.firm.change("clients", record_id)

    def meanwhile(request):
        """While our update is under way, somebody fills in a field over there that the hub does not read."""
        if not request.reads:
            bench.wire.before = None
            bench.sandbox.put("clients", link.remote_id, {"shelf": "3"}, actor="user")

    bench.wire.before = meanwhile
    for _ in range(3):
        bench.run()
        bench.clock.advance(A_WHILE_S)

    assert bench.sandbox.of("clients")[link.remote_id]["name"] == name


def test_a_record_that_is_newer_over_there_at_every_try_is_left_to_a_person_in_the_end(bench):
    record_id = bench.firm.make("clients")
    bench.push_until_done()
    bench.run()
    (link,) = bench.links("clients")
    bench.firm.change("clients", record_id)
    shelves = iter(range(100))

    def meanwhile(request):
        if not request.reads:
            bench.sandbox.put("clients", link.remote_id, {"shelf": str(next(shelves))}, actor="user")

    bench.wire.before = meanwhile
    for _ in range(6):
        bench.run()
        bench.clock.advance(A_WHILE_S)

    (link,) = bench.links("clients")
    assert link.parked
    assert next(shelves) == 4  # sent and refused so often: three times read again, and then no more
