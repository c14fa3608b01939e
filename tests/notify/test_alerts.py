"""Administrators are told by mail when a connection begins to need a person: once, and again when it comes again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.access.users import create_user
from hub.jobs.scheduler import sweep
from hub.jobs.worker import run_worker
from hub.notify.alerts import send_alerts
from hub.notify.mail import MailNotSent
from hub.sync.connections import check_connection, hold
from tests.jobs.conftest import signals
from tests.notify.mail_server import mail_server
from tests.sync.conftest import books, firm, hub, remote

__all__ = ["books", "firm", "hub", "remote", "signals"]


@pytest.fixture
def mail():
    with mail_server() as server:
        yield server


@pytest.fixture
def telling(hub, books, mail):
    """A hub that sends mail, with an admin and somebody of finance."""

    def people(session):
        create_user(session, email="ada@example.com", name="Ada", role="admin")
        create_user(session, email="felix@example.com", name="Felix", role="finance")

    hub.transact(people)
    hub.settings = replace(hub.settings, mail_url=mail.url, public_url="https://hub.example.com")
    return hub


def test_who_sets_up_connections_is_told_once_what_is_wrong_and_where_to_mend_it(telling, books, mail):
    hold(telling, books, "The login has ended. Connect again.")

    assert [send_alerts(telling), send_alerts(telling)] == [1, 0]

    ((readers, text),) = mail.messages
    assert readers == ["ada@example.com"]
    assert "Subject: PSA Hub: books needs attention" in text
    assert "The login has ended. Connect again." in text
    assert "https://hub.example.com/connections/books" in text


def test_what_comes_again_after_it_was_mended_is_told_again(telling, books, mail):
    hold(telling, books, "The login has ended.")
    send_alerts(telling)
    check_connection(telling, books)
    assert send_alerts(telling) == 0

    hold(telling, books, "The login has ended once more.")

    assert send_alerts(telling) == 1
    assert len(mail.messages) == 2


def test_what_could_not_be_mailed_is_told_later(telling, books, mail):
    hold(telling, books, "The login has ended.")
    working = telling.settings
    telling.settings = replace(working, mail_url="smtp://127.0.0.1:1")
    with pytest.raises(MailNotSent):
        send_alerts(telling)

    telling.settings = working

    assert send_alerts(telling) == 1


def test_the_workers_look_for_what_is_to_be_told(telling, books, mail, signals):
    hold(telling, books, "The login has ended.")

    sweep(telling)
    run_worker(telling, burst=True)

    assert len(mail.messages) == 1


def test_nothing_is_mailed_while_all_is_well(telling, mail):
    assert send_alerts(telling) == 0
    assert mail.said == []
