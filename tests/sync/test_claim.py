"""Claiming: what is owed is in one worker's hands at a time."""

from __future__ import annotations

from hub.core.services.service import create_service
from hub.sync.claim import claim


def test_what_one_worker_has_claimed_no_other_gets(hub, books):
    for number in range(3):
        hub.transact(lambda session, number=number: create_service(session, name=f"Service {number}") and None)

    first, second = claim(hub, books, "services", 2), claim(hub, books, "services", 2)

    assert (len(first), len(second)) == (2, 1)
    assert {link.id for link in first}.isdisjoint({link.id for link in second})
    assert claim(hub, books, "services") == []
