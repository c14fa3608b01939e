"""Mail goes out encrypted where the server can, and no password ever goes out in the clear."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from hub.config import load_settings
from hub.notify.mail import MailNotSent, check_mail, send_mail
from tests.notify.mail_server import mail_server


@pytest.fixture
def settings_for(tmp_path):
    def settings_for(url):
        values = {"data_dir": str(tmp_path), "mail_url": url, "mail_from": "PSA Hub <hub@example.com>"}
        return load_settings(values, environ={})

    return settings_for


def test_several_people_get_one_message_and_do_not_see_each_other(settings_for):
    with mail_server() as server:
        send_mail(settings_for(server.url), ["ada@example.com", "grace@example.com"], "Bücher", "Grüße\n")

    ((readers, text),) = server.messages
    message = message_from_bytes(text.encode(), policy=default)
    assert readers == ["ada@example.com", "grace@example.com"]
    assert (message["To"], message["Subject"]) == ("PSA Hub <hub@example.com>", "Bücher")
    assert message.get_content() == "Grüße\n"
    assert "ada@" not in text


def test_a_server_that_can_encrypt_is_told_nothing_before_it_does(settings_for):
    with mail_server("STARTTLS") as server, pytest.raises(MailNotSent):
        send_mail(settings_for(server.url), ["ada@example.com"], "x", "y")  # it breaks off there: it has no certificate

    assert server.said == ["EHLO", "STARTTLS"]


def test_a_password_is_not_sent_to_a_server_without_encryption(settings_for):
    with mail_server("AUTH PLAIN") as server:
        url = server.url.replace("smtp://", "smtp://hub:s3cret@")
        with pytest.raises(MailNotSent, match="offers no encryption") as caught:
            send_mail(settings_for(url), ["ada@example.com"], "x", "y")

    assert "AUTH" not in server.said
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named(settings_for):
    with mail_server() as server:
        pass

    with pytest.raises(MailNotSent, match=r"The mail server 127\.0\.0\.1 does not do it"):
        check_mail(settings_for(server.url))


def test_a_check_sends_nothing(settings_for):
    with mail_server() as server:
        check_mail(settings_for(server.url))

    assert "MAIL" not in server.said
