"""Plain mail by SMTP (RFC 5321), encrypted wherever the server can and always when a password is sent."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

import structlog

from hub.config import Settings
from hub.core.errors import HubError

log = structlog.get_logger("hub.notify")

TIMEOUT_S = 20


class MailNotSent(HubError):
    """The mail server cannot be reached, or does not take the message."""


def send_mail(settings: Settings, readers: Sequence[str], subject: str, text: str) -> None:
    """One message to several people, who do not see each other. Raises MailNotSent if nobody got it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, settings.mail_from, subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(settings.mail_from)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice comes back
    message.set_content(text)
    with _server(settings) as server:
        refused = server.send_message(message, to_addrs=list(readers))
    if refused:
        log.warning("a mail was not taken for everybody", readers=sorted(refused))


def check_mail(settings: Settings) -> None:
    """Reach the mail server and sign in there, without sending anything. Raises MailNotSent."""
    with _server(settings) as server:
        server.noop()


@contextmanager
def _server(settings: Settings) -> Iterator[smtplib.SMTP]:
    parts = urlsplit(settings.mail_url)
    host = parts.hostname or ""
    tls = ssl.create_default_context()
    try:
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_S, context=tls)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_S)
        with server:
            server.ehlo()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=tls)
            elif parts.scheme == "smtp" and parts.username:
                raise MailNotSent(f"{host} offers no encryption, so no password is sent to it. Use smtps:// if it can.")
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server
    except smtplib.SMTPAuthenticationError as failure:
        raise MailNotSent(f"{host} does not take the user and password of HUB_MAIL_URL.") from failure
    except (smtplib.SMTPException, OSError) as failure:
        raise MailNotSent(f"The mail server {host} does not do it: {failure}") from failure
