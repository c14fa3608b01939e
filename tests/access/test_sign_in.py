"""Signing in, the life of a session, and links to set a password."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.access import sign_in as module
from hub.access.models import LoginGuard, PasswordReset, UserSession
from hub.access.sign_in import (
    FREE_FAILURES,
    RESET_LIFE,
    SESSION_IDLE,
    SESSION_LONGEST,
    TooManyTries,
    forget_expired,
    make_reset_token,
    renew,
    reset_of,
    session_of,
    sign_in,
    sign_out,
    try_password,
    use_reset,
)
from hub.access.users import change_user, create_user, get_user, new_password, password_is, set_password
from hub.core import clock
from hub.core.errors import NotFound, RuleBroken


def tries(hub, password, email="ada@example.com"):
    def work(session):
        opened = sign_in(session, email, proof)
        return opened and opened[1]

    with hub.read() as session:
        proof = try_password(session, email, password)
    return hub.transact(work)


@pytest.fixture
def moved(monkeypatch):
    """Move the clock of the business by a timedelta."""

    def move(by):
        real = clock.now

        monkeypatch.setattr(module.clock, "now", lambda: real() + by)

    return move


def user_of(hub, token):
    with hub.read() as session:
        found = session_of(session, token)
        return found and found.user.email


def test_the_right_password_opens_a_session_whose_token_is_not_stored(hub, ada, password):
    token = tries(hub, password)
    assert user_of(hub, token) == "ada@example.com"
    with hub.read() as session:
        assert session.scalars(select(UserSession)).one().token_hash != token


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_address_look_the_same(hub, ada, email):
    assert tries(hub, "wrong", email) is None


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_who_guesses_is_slowed_down_whether_the_address_is_known_or_not(hub, ada, password, email):
    for _ in range(FREE_FAILURES):
        tries(hub, "wrong", email)
    with pytest.raises(TooManyTries, match=r"Wait \d+ seconds"):
        tries(hub, password, email)


def test_each_further_failure_doubles_the_wait(hub, ada):
    for _ in range(FREE_FAILURES):
        tries(hub, "wrong")
    waits = []
    for _ in range(3):
        with hub.read() as session:
            guard = session.scalars(select(LoginGuard)).one()
        waits.append(round((guard.blocked_until - guard.last_failure_at).total_seconds()))
        hub.transact(lambda session: setattr(session.scalars(select(LoginGuard)).one(), "blocked_until", None))
        tries(hub, "wrong")
    assert waits == [2, 4, 8]


def test_the_right_password_forgives_the_failures_before_it(hub, ada, password):
    for _ in range(FREE_FAILURES - 1):
        tries(hub, "wrong")
    assert tries(hub, password)
    with hub.read() as session:
        assert session.scalar(select(LoginGuard)) is None


def test_a_session_that_is_not_used_ends(hub, ada, password, moved):
    token = tries(hub, password)
    moved(SESSION_IDLE + timedelta(seconds=1))
    assert user_of(hub, token) is None


def test_a_session_that_is_used_goes_on_but_not_for_ever(hub, ada, password, moved):
    token = tries(hub, password)
    with hub.read() as session:
        opened = session_of(session, token)
    moved(SESSION_LONGEST - timedelta(hours=1))
    hub.transact(lambda session: renew(session, opened.id))
    assert user_of(hub, token) == "ada@example.com"
    with hub.read() as session:
        assert session_of(session, token).expires_at == opened.created_at + SESSION_LONGEST


def test_signing_out_ends_one_session(hub, ada, password):
    here, there = tries(hub, password), tries(hub, password)
    with hub.read() as session:
        session_id = session_of(session, here).id
    hub.transact(lambda session: sign_out(session, session_id))
    assert (user_of(hub, here), user_of(hub, there)) == (None, "ada@example.com")


def test_a_token_nobody_gave_out_is_no_session(hub, ada):
    assert user_of(hub, "made up") is None


def test_a_link_sets_the_password_once(hub, ada):
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, ada)))
    hub.transact(lambda session: use_reset(session, token, new_password("another long phrase")).id)
    with hub.read() as session:
        assert password_is(get_user(session, ada), "another long phrase")
    with pytest.raises(NotFound, match="used or is too old"):
        hub.transact(lambda session: use_reset(session, token, new_password("a third long phrase")))


def test_a_bad_password_does_not_use_the_link_up(hub, ada):
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, ada)))
    with pytest.raises(RuleBroken):
        hub.transact(lambda session: use_reset(session, token, new_password("short")))
    with hub.read() as session:
        assert reset_of(session, token).user.id == ada


def test_a_new_link_ends_the_one_before(hub, ada):
    first, second = (hub.transact(lambda session: make_reset_token(session, get_user(session, ada))) for _ in "ab")
    with hub.read() as session:
        assert reset_of(session, second)
        with pytest.raises(NotFound):
            reset_of(session, first)


def test_a_link_ends_after_a_day(hub, ada, moved):
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, ada)))
    moved(RESET_LIFE + timedelta(seconds=1))
    with hub.read() as session, pytest.raises(NotFound):
        reset_of(session, token)


def test_a_link_lets_in_who_was_blocked_for_guessing(hub, ada):
    for _ in range(FREE_FAILURES):
        tries(hub, "wrong")
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, ada)))
    hub.transact(lambda session: use_reset(session, token, new_password("another long phrase")).id)
    assert tries(hub, "another long phrase")


def test_what_is_over_is_taken_out(hub, ada, password, moved):
    tries(hub, password)
    hub.transact(lambda session: make_reset_token(session, get_user(session, ada)))
    tries(hub, "wrong")
    moved(SESSION_LONGEST)
    hub.transact(forget_expired)
    with hub.read() as session:
        left = [session.scalar(select(table)) for table in (UserSession, PasswordReset, LoginGuard)]
    assert left == [None, None, None]


@pytest.mark.parametrize("meanwhile", ["another password", "inactive"])
def test_a_password_that_was_right_a_moment_ago_signs_nobody_in(hub, ada, password, meanwhile):
    with hub.read() as session:
        proof = try_password(session, "ada@example.com", password)

    def change(session):
        create_user(session, email="grace@example.com", name="Grace", role="admin")
        if meanwhile == "inactive":
            change_user(session, ada, active=False)
        else:
            set_password(session, get_user(session, ada), new_password("another long phrase"))

    hub.transact(change)
    assert hub.transact(lambda session: sign_in(session, "ada@example.com", proof)) is None
