"""Mail to whoever sets up connections, when one begins to need a person.

What there is to mend is derived from how things stand (`hub.sync.mending`). Each is told once while it lasts; when it
comes again after it was mended, it is told again. A process that ends between mail and note tells it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from hub.access.models import User
from hub.access.permissions import permissions_of
from hub.core.database import uuid7
from hub.core.outbox import upsert
from hub.notify.mail import send_mail
from hub.notify.models import Alert
from hub.sync.mending import Repair, Trouble, repairs_of

if TYPE_CHECKING:
    from hub.bootstrap import Hub

MAILED = (Trouble.HELD, Trouble.AWAY, Trouble.UNSIGNED)
"""The rest follows from what an administrator did."""


def send_alerts(hub: Hub) -> int:
    """Tell what is new, and forget what is mended. Returns how much was told. Raises MailNotSent; then nothing was."""
    with hub.read() as session:
        repairs = repairs_of(session, connectors=hub.connector_classes(), kinds=hub.kinds)
        told = {(row.connection, row.trouble) for row in session.execute(select(Alert.connection, Alert.trouble))}
        readers = _readers(session, hub)
    present = {(each.connection, str(each.trouble)): each for each in repairs if each.trouble in MAILED}
    news = [repair for key, repair in present.items() if key not in told] if readers else []
    if news:
        send_mail(hub.settings, readers, _subject(news), _text(hub.settings.public_url, news))
    mended = told - present.keys()
    if news or mended:
        hub.transact(lambda session: _note(session, news, mended))
    return len(news)


def _readers(session: Session, hub: Hub) -> list[str]:
    users = session.execute(select(User.email, User.role).where(User.active).order_by(User.email))
    return [email for email, role in users if "connections.write" in permissions_of(role, hub.plugins.hooks)]


def _subject(news: Sequence[Repair]) -> str:
    return f"PSA Hub: {news[0].title}" if len(news) == 1 else f"PSA Hub: {len(news)} things to mend about connections"


def _text(public_url: str, news: Sequence[Repair]) -> str:
    told = "\n\n".join(
        f"{each.title}\n{each.text}\n{public_url}/connections/{quote(each.connection, safe='')}" for each in news
    )
    return (
        f"{told}\n\nNothing is lost: what is owed is kept, and goes on once this is mended. You get this mail because "
        f"you may set up connections. What there is to mend now: {public_url}/parked\n"
    )


def _note(session: Session, news: Sequence[Repair], mended: set[tuple[str, str]]) -> None:
    if mended:
        session.execute(delete(Alert).where(tuple_(Alert.connection, Alert.trouble).in_(mended)))
    for repair in news:
        row = upsert(session, Alert).values(id=uuid7(), connection=repair.connection, trouble=str(repair.trouble))
        session.execute(row.on_conflict_do_nothing(index_elements=["connection", "trouble"]))
