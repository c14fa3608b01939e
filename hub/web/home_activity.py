"""What happened lately, as far as a user may see it; the same thing many times in a row is one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.outbox import Event
from hub.web.actors import actor_names
from hub.web.current import current_hub, current_user
from hub.web.display import money, words
from hub.web.record_lineage import singular

_LOOKED_AT: Final = 300
_SHOWN: Final = 8
_PERMISSIONS: Final = {
    "clients": "clients.read",
    "projects": "projects.read",
    "time_entries": "time.read",
    "invoices": "invoices.read",
    "payments": "invoices.read",
}
_UNTOLD: Final = ("lineage_recorded",)  # tells plugins where a record came from; nothing happened to the record
_LOOKS: Final = {
    "invoice_issued": ("send", "info"),
    "invoice_paid": ("circle-check", "good"),
    "payment_received": ("cash", "good"),
    "time_approved": ("clipboard-check", "good"),
    "client_changed": ("building", "calm"),
    "project_changed": ("briefcase", "calm"),
}


def recent_activity(session: Session) -> list[dict[str, Any]]:
    """The newest events of the kinds this user may see, the newest first."""
    kinds = [kind for kind, permission in _PERMISSIONS.items() if current_user().may(permission)]
    told = Event.kind.in_(kinds), Event.name.not_in(_UNTOLD)
    query = select(Event).where(*told).order_by(Event.sequence.desc()).limit(_LOOKED_AT)
    entries: list[dict[str, Any]] = []
    groups: list[list[Event]] = []
    for event in session.scalars(query):
        if groups and _likeness(groups[-1][0]) == _likeness(event):
            groups[-1].append(event)
        else:
            groups.append([event])
    names = actor_names(session, {group[0].actor for group in groups[:_SHOWN]})
    for group in groups[:_SHOWN]:
        entries.append(_entry(group, names[group[0].actor]))
    return entries


def _likeness(event: Event) -> tuple[str, str, bool]:
    return event.name, event.actor, event.revision == 1


def _entry(group: list[Event], who: str) -> dict[str, Any]:
    event = group[0]
    icon, tone = _LOOKS.get(event.name, ("point", "calm"))
    alone = len(group) == 1
    page = current_hub().kinds[event.kind].page if event.kind in current_hub().kinds else ""
    title = _ONE[event.name](event.payload) if alone and event.name in _ONE else _several(event, len(group))
    return {
        "title": title,
        "at": event.happened_at,
        "who": who,
        "icon": icon,
        "tone": tone,
        "href": page.format(id=event.record_id) if alone and page else None,
    }


def _several(event: Event, number: int) -> str:
    """12 time entries approved."""
    what = words(event.kind).lower() if number > 1 else singular(words(event.kind).lower())
    return f"{number:,} {what} {_done(event)}"


def _done(event: Event) -> str:
    """What happened, in the last word of its name; a record is added by its first revision."""
    verb = event.name.rpartition("_")[2]
    return "added" if verb == "changed" and event.revision == 1 else verb


def _done_to(payload: Mapping[str, Any]) -> str:
    return "added" if payload.get("revision") == 1 else "changed"


def _amount(payload: Mapping[str, Any], name: str) -> str:
    return money(Decimal(str(payload[name])), str(payload["currency"]))


_ONE: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "invoice_issued": lambda invoice: f"Invoice {invoice['number']} issued to {invoice['client_name']}",
    "invoice_paid": lambda invoice: f"Invoice {invoice['number']} paid by {invoice['client_name']}",
    "payment_received": lambda payment: f"{_amount(payment, 'amount')} received",
    "client_changed": lambda client: f"Client {client['name']} {_done_to(client)}",
    "project_changed": lambda project: f"Project {project['name']} {_done_to(project)}",
}
