"""People: creating and changing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import announce
from hub.core.people.models import Person
from hub.core.records import PersonRecord


def create_person(session: Session, *, name: str, email: str = "", external_id: str | None = None) -> Person:
    """A new person. Raises RuleBroken without a name, or when another has the external_id."""
    _check_free(session, external_id)
    person = Person(name=_name(name), email=email.strip(), external_id=external_id or None)
    session.add(person)
    announce(session, "people", [person.id])
    return person


def change_person(session: Session, person_id: UUID, **values: Any) -> Person:
    """Change name, email, external_id or active. Raises NotFound, RuleBroken when another has the external_id."""
    person = get_person(session, person_id)
    if "name" in values:
        values["name"] = _name(values["name"])
    if "external_id" in values and values["external_id"] != person.external_id:
        _check_free(session, values["external_id"])
    for name in ("name", "email", "external_id", "active"):
        if name in values:
            setattr(person, name, values[name])
    announce(session, "people", [person.id])
    return person


def get_person(session: Session, person_id: UUID) -> Person:
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound(f"There is no person with id {person_id}.")
    return person


def load_people(session: Session, ids: Sequence[UUID]) -> list[PersonRecord]:
    return [person.to_record() for person in session.scalars(select(Person).where(Person.id.in_(ids)))]


def _name(text: str) -> str:
    if not text.strip():
        raise RuleBroken("A person needs a name.", fields={"name": "must not be empty"})
    return text.strip()


def _check_free(session: Session, external_id: str | None) -> None:
    if not external_id:
        return
    name = session.scalar(select(Person.name).where(Person.external_id == external_id))
    if name is not None:
        raise RuleBroken(f"{name} has the external id {external_id} already.", fields={"external_id": "is taken"})
