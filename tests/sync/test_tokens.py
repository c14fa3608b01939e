"""Access tokens: renewed once however many need one, and never lost."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.core import clock
from hub.core.errors import ConfigurationFailure, TemporaryFailure
from hub.sync.connections import change_settings, get_connection, remove_connection
from hub.sync.models import Connection
from hub.sync.tokens import Tokens
from tests.sync.fake_remote import plugin


def stored(hub, connection_id):
    with hub.read() as session:
        return hub.cipher.decrypt(get_connection(session, connection_id).tokens)


def stored_settings(hub, connection_id):
    with hub.read() as session:
        return get_connection(session, connection_id).settings


def expires(seconds):
    return (clock.now() + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def tokens(hub, books):
    return Tokens(hub, books, {"refresh_token": "r0"})


class Vendor:
    """Renews, rotating the refresh token: each is good once."""

    def __init__(self):
        self.asked = []

    def __call__(self, tokens):
        self.asked.append(tokens["refresh_token"])
        number = len(self.asked)
        time.sleep(0.05)
        return {"access_token": f"a{number}", "refresh_token": f"r{number}", "expires_at": expires(3600)}


def test_the_first_token_is_had_with_the_refresh_token_of_the_settings_and_kept(hub, books, tokens):
    vendor = Vendor()
    assert [tokens.access_token(vendor) for _ in range(3)] == ["a1"] * 3
    assert vendor.asked == ["r0"]
    assert stored(hub, books)["refresh_token"] == "r1"


def test_twenty_threads_need_one_renewal(hub, books):
    vendor = Vendor()
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda _: Tokens(hub, books, {"refresh_token": "r0"}).access_token(vendor), range(20)))
    assert got == ["a1"] * 20
    assert vendor.asked == ["r0"]


def _token_in_a_process(values, connection_id, ledger):
    hub = build_hub(load_settings(values, environ={}), plugins={"fake": plugin()})

    def renew(tokens):
        with Path(ledger).open("a") as file:
            file.write(f"{tokens['refresh_token']}\n")
        time.sleep(0.2)
        return {"access_token": "a1", "refresh_token": "r1", "expires_at": expires(3600)}

    try:
        return Tokens(hub, UUID(connection_id), {"refresh_token": "r0"}).access_token(renew)
    finally:
        hub.close()


def test_four_processes_need_one_renewal(hub, books, settings, tmp_path):
    ledger = tmp_path / "renewals"
    values = {
        "data_dir": str(settings.data_dir),
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
    }
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        got = pool.starmap(_token_in_a_process, [(values, str(books), str(ledger))] * 4)
    assert got == ["a1"] * 4
    assert ledger.read_text() == "r0\n"


def test_a_renewal_that_fails_leaves_the_tokens_and_lets_the_next_one_try(hub, books, tokens):
    tokens.access_token(lambda known: {"access_token": "a1", "refresh_token": "r1", "expires_at": expires(60)})

    def down(known):
        raise TemporaryFailure("It cannot be reached.")

    with pytest.raises(TemporaryFailure):
        tokens.access_token(down)  # 60 s are too few to begin a call with
    assert (stored(hub, books)["access_token"], stored(hub, books)["refresh_token"]) == ("a1", "r1")
    asked = []
    assert tokens.access_token(lambda known: asked.append(known) or {"access_token": "a2"}) == "a2"
    assert asked[0]["refresh_token"] == "r1"


def test_a_vendor_that_does_not_rotate_keeps_its_refresh_token(hub, books, tokens):
    tokens.access_token(lambda known: {"access_token": "a1", "expires_at": expires(3600)})
    assert stored(hub, books)["refresh_token"] == "r0"


def test_a_refused_token_is_renewed_once_for_all_who_had_it(hub, books, tokens):
    vendor = Vendor()
    first = tokens.access_token(vendor)
    with ThreadPoolExecutor(5) as pool:
        again = list(
            pool.map(lambda _: Tokens(hub, books, {"refresh_token": "r0"}).access_token(vendor, seen=first), range(5))
        )
    assert again == ["a2"] * 5
    assert vendor.asked == ["r0", "r1"]


def test_a_token_is_saved_before_anyone_has_it(hub, books, tokens, monkeypatch):
    """If saving fails, the token is not handed out: who used it would go on with one that nobody can renew."""

    def lost(work, **about):
        raise OSError("the disk is full")

    def renew(known):
        monkeypatch.setattr(hub, "transact", lost)
        return {"access_token": "a1", "refresh_token": "r1"}

    with pytest.raises(OSError, match="disk is full"):
        tokens.access_token(renew)


def test_a_lease_that_ran_out_is_taken_over(hub, books, tokens):
    past = clock.now() - timedelta(seconds=1)
    hub.transact(lambda session: session.execute(update(Connection).values(token_lease_until=past)) and None)
    assert tokens.access_token(lambda known: {"access_token": "a1"}) == "a1"


def test_while_another_renews_the_token_nobody_else_does(hub, books, tokens, monkeypatch):
    monkeypatch.setattr("hub.sync.tokens.LEASE_S", 0.2)
    monkeypatch.setattr("hub.sync.tokens.LONGEST_WAIT_S", 0.5)
    ahead = clock.now() + timedelta(seconds=600)
    hub.transact(lambda session: session.execute(update(Connection).values(token_lease_until=ahead)) and None)
    with pytest.raises(TemporaryFailure, match="Another process"):
        tokens.access_token(lambda known: pytest.fail("renewed beside another"))


def test_a_renewal_that_ends_after_the_credentials_changed_is_not_kept(hub, books, tokens):
    def renew(known):
        change_settings(hub, books, {"token": "n3w"})
        return {"access_token": "of the old login", "refresh_token": "r1"}

    tokens.access_token(renew)
    assert stored(hub, books) == {}


def test_a_token_that_was_rotated_while_another_setting_changed_is_kept(hub, books, tokens):
    tokens.access_token(lambda known: {"access_token": "a1", "refresh_token": "r1", "expires_at": expires(0)})

    def renew(known):
        account = hub.cipher.decrypt(stored_settings(hub, books))["account"]
        change_settings(hub, books, {"account": f"{account} "})
        return {"access_token": "a2", "refresh_token": "r2"}

    tokens.access_token(renew)
    assert stored(hub, books) == {"access_token": "a2", "refresh_token": "r2"}


def test_a_removed_connection_has_no_token(hub, books, tokens):
    remove_connection(hub, books)
    with pytest.raises(ConfigurationFailure, match="removed"):
        tokens.access_token(lambda known: pytest.fail("renewed"))


def test_tokens_are_encrypted_at_rest(hub, books, tokens):
    tokens.access_token(lambda known: {"access_token": "acc3ss", "refresh_token": "refr3sh"})
    with hub.read() as session:
        at_rest = get_connection(session, books).tokens
    assert at_rest
    assert "acc3ss" not in at_rest
    assert "refr3sh" not in at_rest
