"""Record kinds: what of the hub other systems can know about. Plugins contribute theirs by the `record_kinds` hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute, Session

EVERY: Final = true()
"""The condition that leaves no record out."""

Load = Callable[[Session, Sequence[UUID]], Sequence[Any]]
Apply = Callable[[Session, UUID | None, Mapping[str, Any]], UUID]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of our records that may be the one a change is about. exact: it is, unless others are exact too."""

    record_id: UUID
    label: str
    score: int
    exact: bool
    why: str


@dataclass(frozen=True, slots=True)
class HubDocument:
    """One document as the hub holds it, for reconciliation with a statement of the other side."""

    record_id: UUID
    number: str
    dated_on: date
    currency: str
    total: Decimal
    tax: Decimal
    open: Decimal | None
    label: str
    client_id: UUID | None = None


Create = Callable[[Session, Sequence[Mapping[str, Any]]], Sequence[UUID]]
Match = Callable[[Session, Sequence[Mapping[str, Any]], ColumnElement[bool]], Sequence[Sequence[Candidate]]]
Documents = Callable[[Session, Sequence[UUID] | None, date | None, date | None], Sequence[HubDocument]]


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record.

    name: plural, as streams are named. model: its table's class, with `id` and `revision`. record: the frozen class.
    load: records by id, any order; ids that are gone are left out. label: what a person calls a record.
    owed: which rows may be created elsewhere (None: none by themselves). dated_by: the day a start day is compared
    with. conditions: name → column a connection's condition compares. apply: write values that came in, to a new
    record (id None) or an existing one; returns its id. create: the same for many new records, all of them or none.
    match: for each set of values, those of the records of a condition that may be the same. documents: what
    reconciliation compares. withdraw: what it means here that the record was deleted over there (None: it stays as it
    is). page: the path of a record's page with {id}; page_permission: what one needs to open it (empty: nothing but a
    look at what leads there). lapsed: whether a record need not be created elsewhere any more,
    though it was owed once; where it is already, it stays in step.
    """

    name: str
    title: str
    model: type[Any]
    record: type[Any]
    load: Load
    label: Callable[[Any], str]
    owed: ColumnElement[bool] | None = None
    dated_by: InstrumentedAttribute[Any] | None = None
    conditions: Mapping[str, InstrumentedAttribute[Any]] = field(default_factory=dict)
    apply: Apply | None = None
    create: Create | None = None
    match: Match | None = None
    documents: Documents | None = None
    withdraw: Callable[[Session, UUID], None] | None = None
    page: str = ""
    page_permission: str = ""
    lapsed: Callable[[Any], bool] = lambda record: False
