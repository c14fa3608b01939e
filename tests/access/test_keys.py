"""API keys: shown once, recognised by a keyed hash, good until they are revoked or over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from hub.access import keys
from hub.access.fingerprints import Fingerprints
from hub.access.identity import key_identity
from hub.access.keys import checksum, create_key, key_of, looks_like_a_key, revoke_key
from hub.access.models import ApiKey
from hub.access.users import change_user, create_user, get_user
from hub.core.audit import AuditEntry
from hub.core.errors import RuleBroken

RING = Fingerprints([Fernet.generate_key().decode()])


@pytest.fixture
def make(hub, ada):
    def create(**values):
        def work(session):
            made = create_key(session, RING, owner=get_user(session, ada), **{"name": "Export", **values})
            return made.key.id, made.secret

        return hub.transact(work)

    return create


def known(hub, text, ring=RING):
    with hub.read() as session:
        return key_of(session, ring, text) is not None


def test_a_key_has_its_form_and_its_checksum(make):
    _, secret = make()
    assert secret.startswith("psah_live_")
    assert len(secret) == len("psah_live_") + 8 + 32 + 6
    assert looks_like_a_key(secret)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text[:20] + ("a" if text[20] != "a" else "b") + text[21:],
        lambda text: text.replace("psah_live_", "psah_test_"),
        lambda text: text[:-1] + "_",
        lambda text: "",
        str.swapcase,
    ],
)
def test_a_look_alike_is_told_apart_without_the_database(make, spoil):
    assert not looks_like_a_key(spoil(make()[1]))


def test_a_key_is_recognised_and_another_of_the_right_form_is_not(hub, make):
    _, secret = make()
    body = secret[:18] + "x" * 32
    assert known(hub, secret)
    assert not known(hub, body + checksum(body))  # the right key id, another secret
    assert not known(hub, "psah_live_nonsense")


def test_the_secret_is_stored_nowhere(hub, make):
    key_id, secret = make()
    with hub.read() as session:
        stored = session.get_one(ApiKey, key_id)
        audited = session.scalars(select(AuditEntry).where(AuditEntry.record_id == key_id)).one()
    hidden = secret[18:-6]
    assert hidden not in str(vars(stored)) + str(audited.changes)
    assert stored.secret_hash not in str(audited.changes)


def test_a_database_without_the_hubs_secret_recognises_no_key(hub, make):
    assert not known(hub, make()[1], Fingerprints([Fernet.generate_key().decode()]))


def test_a_key_outlives_the_rotation_of_the_hubs_secret(hub, ada):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()

    def work(session):
        return create_key(session, Fingerprints([old]), owner=get_user(session, ada), name="Export").secret

    secret = hub.transact(work)
    assert known(hub, secret, Fingerprints([new, old]))


def test_a_revoked_key_is_good_for_nothing_and_stays_in_the_list(hub, make):
    key_id, secret = make()
    hub.transact(lambda session: revoke_key(session, key_id))
    assert not known(hub, secret)
    with hub.read() as session:
        assert session.get_one(ApiKey, key_id).revoked_at is not None


@pytest.mark.parametrize(("days_ago", "good"), [(-1, True), (0, True), (1, False)])
def test_a_key_is_good_on_its_last_day(hub, make, days_ago, good):
    key_id, secret = make()
    last = datetime.now(UTC).date() - timedelta(days=days_ago)
    hub.transact(lambda session: setattr(session.get_one(ApiKey, key_id), "expires_on", last))
    assert known(hub, secret) == good


def test_the_key_of_an_inactive_user_is_good_for_nothing(hub, ada, make):
    _, secret = make()
    hub.transact(lambda session: create_user(session, email="b@example.com", name="B", role="admin").id)
    hub.transact(lambda session: change_user(session, ada, active=False).id)
    assert not known(hub, secret)


def test_a_key_may_do_what_its_owner_may_within_its_scopes(hub, ada, make):
    _, secret = make(scopes=["clients.read", "users.write"])
    hub.transact(lambda session: create_user(session, email="b@example.com", name="B", role="admin").id)

    def may():
        with hub.read() as session:
            return key_identity(key_of(session, RING, secret), hub.plugins.hooks).permissions

    assert may() == {"clients.read", "users.write"}
    hub.transact(lambda session: change_user(session, ada, role="finance").id)
    assert may() == {"clients.read"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"expires_on": datetime.now(UTC).date() - timedelta(days=1)}, "expires_on"),
    ],
)
def test_a_wrong_value_is_named(make, values, field):
    with pytest.raises(RuleBroken) as refused:
        make(**values)
    assert set(refused.value.fields) == {field}


def test_its_use_is_noted_without_a_new_revision(hub, make):
    key_id, _ = make()
    hub.transact(lambda session: keys.note_use(session, key_id))
    with hub.read() as session:
        key = session.get_one(ApiKey, key_id)
    assert key.last_used_at is not None
    assert key.revision == 1
    assert not keys.is_to_be_noted(key)
