"""Services: creating and changing what is sold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import announce
from hub.core.records import ServiceRecord
from hub.core.services.models import Service

DEFAULT_HOURS = "Consulting hours"
"""The service of hours whose task names no other."""

KINDS = ("hours", "expense", "fixed_fee", "prepayment", "retainer_draw", "rounding", "late_fee")


def create_service(session: Session, *, name: str, **values: Any) -> Service:
    """A new service. Raises RuleBroken when the name is taken or the kind unknown."""
    name = _name(name)
    _check_free(session, name)
    service = Service(name=name)
    _write(service, values)
    session.add(service)
    announce(session, "services", [service.id])
    return service


def change_service(session: Session, service_id: UUID, **values: Any) -> Service:
    """Change what is given. Raises NotFound, RuleBroken when the name is taken or the kind unknown."""
    service = get_service(session, service_id)
    if "name" in values:
        values["name"] = _name(values["name"])
    if values.get("name", service.name) != service.name:
        _check_free(session, values["name"])
    _write(service, values)
    announce(session, "services", [service.id])
    return service


def get_service(session: Session, service_id: UUID) -> Service:
    service = session.get(Service, service_id)
    if service is None:
        raise NotFound(f"There is no service with id {service_id}.")
    return service


def hours_service(session: Session) -> Service:
    """The service of hours whose task names no other; made when it is first needed."""
    known = select(Service).where(Service.name == DEFAULT_HOURS)
    service = session.scalar(known)
    if service is not None:
        return service
    try:
        with session.begin_nested():
            return create_service(session, name=DEFAULT_HOURS, kind="hours", unit="HUR")
    except (IntegrityError, RuleBroken):  # another transaction made it at the same moment
        return session.scalars(known).one()


def load_services(session: Session, ids: Sequence[UUID]) -> list[ServiceRecord]:
    return [service.to_record() for service in session.scalars(select(Service).where(Service.id.in_(ids)))]


def _name(text: str) -> str:
    if not text.strip():
        raise RuleBroken("A service needs a name.", fields={"name": "must not be empty"})
    return text.strip()


def _check_free(session: Session, name: str) -> None:
    if session.scalar(select(Service.id).where(Service.name == name)) is not None:
        raise RuleBroken(f"There is a service called “{name}” already.", fields={"name": "is taken"})


def _write(service: Service, values: dict[str, Any]) -> None:
    if values.get("kind", "hours") not in KINDS:
        raise RuleBroken(
            f"“{values['kind']}” is no kind of service.", fields={"kind": f"use one of {', '.join(KINDS)}"}
        )
    tax_rate = values.get("tax_rate")
    if tax_rate is not None and not 0 <= tax_rate < 100:
        raise RuleBroken(f"A tax rate of {tax_rate} % cannot be.", fields={"tax_rate": "0 to 99.99 per cent"})
    for name in ("name", "code", "description", "kind", "unit", "tax_rate", "active"):
        if name in values:
            setattr(service, name, values[name])
