"""Users and their passwords."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from hub.access.models import User, UserSession
from hub.access.sign_in import open_session
from hub.access.users import (
    change_user,
    create_user,
    delete_user,
    find_user,
    get_user,
    new_password,
    password_is,
    set_password,
)
from hub.core.audit import MASKED, AuditEntry
from hub.core.errors import NotFound, RuleBroken
from hub.core.people.models import Person
from hub.core.people.service import create_person


def add(hub, **changes):
    values = {"email": "grace@example.com", "name": "Grace", "role": "finance"} | changes
    if "password" in values:
        values["password"] = new_password(values["password"])
    return hub.transact(lambda session: create_user(session, **values).id)


def test_an_address_is_one_however_it_is_written(hub, ada):
    with hub.read() as session:
        assert find_user(session, "  ADA@example.COM ").id == ada
    with pytest.raises(RuleBroken, match="already") as refused:
        add(hub, email="aDa@example.com")
    assert set(refused.value.fields) == {"email"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "a@b@c"}, "email"),
        ({"name": "  "}, "name"),
        ({"role": "emperor"}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"password": "aaaaaaaaaaaaaaa"}, "password"),
        ({"password": "GRACE@example.com"}, "password"),
    ],
)
def test_a_wrong_value_is_named(hub, changes, field):
    with pytest.raises(RuleBroken) as refused:
        add(hub, **changes)
    assert set(refused.value.fields) == {field}
    with hub.read() as session:
        assert session.scalar(select(User)) is None


def test_two_users_cannot_be_one_person(hub):
    person = hub.transact(lambda session: create_person(session, name="Grace").id)
    add(hub, person_id=person)
    with pytest.raises(RuleBroken, match=r"signs in as grace@example\.com already"):
        add(hub, email="other@example.com", person_id=person)


def test_a_password_is_known_by_its_owner_only_while_active(hub, ada, password):
    def good(text):
        with hub.read() as session:
            return password_is(get_user(session, ada), text)

    assert good(password)
    assert not good(password + "!")
    add(hub, role="admin")
    hub.transact(lambda session: change_user(session, ada, active=False))
    assert not good(password)


def test_neither_nobody_nor_a_user_without_a_password_has_any(hub):
    grace = add(hub)
    with hub.read() as session:
        assert not password_is(get_user(session, grace), "nobody has this password")
        assert not password_is(None, "nobody has this password")


def test_a_new_password_ends_the_other_sessions(hub, ada):
    kept, other = hub.transact(lambda session: [open_session(session, get_user(session, ada))[0].id for _ in "ab"])
    hub.transact(
        lambda session: set_password(session, get_user(session, ada), new_password("another long phrase"), keep=kept)
    )
    with hub.read() as session:
        assert session.scalars(select(UserSession.id)).all() == [kept]
    assert other != kept


def test_who_is_made_inactive_is_signed_out(hub, ada):
    add(hub, role="admin")
    hub.transact(lambda session: open_session(session, get_user(session, ada))[1])
    hub.transact(lambda session: change_user(session, ada, active=False))
    with hub.read() as session:
        assert session.scalar(select(UserSession)) is None


@pytest.mark.parametrize("change", [{"active": False}, {"role": "finance"}])
def test_the_last_active_admin_stays_one(hub, ada, change):
    with pytest.raises(RuleBroken, match="last active admin"):
        hub.transact(lambda session: change_user(session, ada, **change))
    add(hub, role="admin")
    hub.transact(lambda session: change_user(session, ada, **change))


def test_the_last_active_admin_is_not_deleted(hub, ada):
    with pytest.raises(RuleBroken, match="last active admin"):
        hub.transact(lambda session: delete_user(session, ada))


def test_a_user_who_is_not_there_is_said_to_be_missing(hub, ada):
    with pytest.raises(NotFound), hub.read() as session:
        get_user(session, type(ada)(int=1))


def test_the_audit_log_shows_no_password_hash(hub, ada):
    with hub.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.record_kind == "user_account")).first()
    assert entry.changes["password_hash"] == [None, MASKED]


def test_a_consultant_is_one_of_the_firms_people_and_nobody_else_is(hub):
    def work(session):
        known = create_person(session, name="Grace Hopper", email="Grace@example.com").id
        grace = create_user(session, email="grace@example.com", name="Grace", role="consultant")
        alan = create_user(session, email="alan@example.com", name="Alan Turing", role="consultant")
        clerk = create_user(session, email="clerk@example.com", name="Clerk", role="finance")
        return known, grace.person_id, session.get_one(Person, alan.person_id).name, clerk.person_id

    known, grace, alan, clerk = hub.transact(work)

    assert (grace, alan, clerk) == (known, "Alan Turing", None)


def test_two_admins_who_go_at_the_same_moment_leave_one(hub, ada):
    other = add(hub, role="admin")
    ready, refused = Barrier(2), []

    def leave(user_id):
        ready.wait()
        try:
            hub.transact(lambda session: change_user(session, user_id, active=False) and None)
        except RuleBroken as refusal:
            refused.append(refusal.code)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(leave, (ada, other)))

    assert refused == ["last-admin"]
