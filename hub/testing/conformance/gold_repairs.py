"""Gold: what a person mends goes on by itself, once."""

from __future__ import annotations

from hub.core.outbox import Link
from hub.sync.repairs import retry_all
from hub.testing.conformance.bench import A_WHILE_S, Bench, Lab
from hub.testing.conformance.firm import a_name
from hub.testing.conformance.rules import NotShown, expect, rule


@rule("G24", "What was set aside can be sent again without a second effect.", needs="push")
def set_aside_and_sent_again(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        streams = [stream for stream in bench.sendable if stream != "invoices"]  # whose numbers are the hub's to give
        if not streams:
            raise NotShown("the kit can make no record that the other side refuses")
        for stream in streams:
            name = a_name()
            bench.user.refuse(stream, name)
            record_id = bench.firm.make(stream, name=name)
            bench.push_until_done()
            (link,) = [link for link in bench.links(stream) if link.record_id == record_id]
            expect(link.parked, f"{stream}: what is refused is not set aside")
            for _ in range(2):
                _retry(bench)
            (link,) = [link for link in bench.links(stream) if link.record_id == record_id]
            expect(link.parked and not link.remote_id, f"{stream}: refused once more, it is not set aside once more")
            before = len(bench.user.effects(stream))
            bench.user.allow(stream, name)
            for _ in range(3):
                _retry(bench)
            (link,) = [link for link in bench.links(stream) if link.record_id == record_id]
            expect(link.remote_id and not link.parked, f"{stream}: mended and sent again, it still counts as refused")
            more = len(bench.user.effects(stream)) - before
            expect(more == 1, f"{stream}: mended and sent again, it is written {more} times")


def _retry(bench: Bench) -> None:
    retry_all(bench.hub.transact, Link.connection_id == bench.connection)
    bench.push_until_done()
    bench.clock.advance(A_WHILE_S)
