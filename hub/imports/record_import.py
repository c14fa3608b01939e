"""Brings clients, projects and people into the hub from CSV files. Who or what is here already is left as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

from sqlalchemy.orm import Session

from hub.core.companies.service import only_company
from hub.core.errors import NotFound
from hub.imports.batches import Transactions
from hub.imports.cell_values import DayOrder
from hub.imports.csv_reader import CsvRow, open_csv
from hub.imports.faults import FaultsFile, ImportSummary
from hub.imports.layouts import ColumnMap, Field, Layout, resolve_columns
from hub.imports.places import NoPlace, Places
from hub.imports.row_cells import Fault, RowCells, Writing, examine_writing

ROWS_PER_TRANSACTION: Final = 100
_FAULTS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class RecordImport:
    """How one kind of record is imported.

    columns: for each field its headings, the field's own name first; texts are taken as they are. bring: make the
    record of a row unless it is here already; says whether it was made, and raises NoPlace.
    """

    kind: str
    columns: Mapping[str, Sequence[str]]
    needed: Sequence[str]
    bring: Callable[[Places, Session, dict[str, Any]], bool]
    numbers: Sequence[str] = ()
    days: Sequence[str] = ()
    answers: Sequence[str] = ()

    @property
    def layout(self) -> Layout:
        return Layout(self.kind, self.columns, frozenset(self.needed))

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(Field(name, headings[0]) for name, headings in self.columns.items())


def _bring_client(places: Places, session: Session, values: dict[str, Any]) -> bool:
    name = values.pop("name")
    if places.find_client(name) is not None:
        return False
    places.make_client(session, name, **values)
    return True


def _bring_project(places: Places, session: Session, values: dict[str, Any]) -> bool:
    client_id = places.client(session, values.pop("client"))
    name, code = values.pop("name"), values.pop("code", "")
    if places.find_project(client_id, name, code) is not None:
        return False
    places.make_project(session, client_id, name, code, **values)
    return True


def _bring_person(places: Places, session: Session, values: dict[str, Any]) -> bool:
    name, number = values.pop("name"), values.pop("external_id", "")
    if places.find_person(name, number) is not None:
        return False
    places.make_person(session, name, number, **values)
    return True


RECORD_IMPORTS: Final[Mapping[str, RecordImport]] = {
    "clients": RecordImport(
        "clients",
        {
            "name": ("name", "Client Name", "Client", "Kunde", "Kundenname"),
            "legal_name": ("legal_name", "Firmierung"),
            "currency": ("currency", "Währung"),
            "street": ("street", "Address", "Straße", "Adresse"),
            "city": ("city", "Ort", "Stadt"),
            "region": ("region", "State", "Bundesland"),
            "postcode": ("postcode", "Zip", "Postal Code", "PLZ", "Postleitzahl"),
            "country": ("country", "Land"),
            "tax_id": ("tax_id", "VAT ID", "USt-IdNr", "Steuernummer"),
            "email": ("email", "E-Mail-Adresse"),
            "phone": ("phone", "Telefon"),
            "website": ("website", "Webseite"),
            "tax_exempt": ("tax_exempt", "Steuerbefreit"),
        },
        ("name",),
        _bring_client,
        answers=("tax_exempt",),
    ),
    "projects": RecordImport(
        "projects",
        {
            "client": ("client", "Kunde", "Kundenname"),
            "name": ("name", "Project", "Project Name", "Projekt", "Projektname"),
            "code": ("code", "Project Code", "Projektcode", "Projektnummer"),
            "status": ("status",),
            "starts_on": ("starts_on", "Start Date", "Beginn", "Startdatum"),
            "ends_on": ("ends_on", "End Date", "Ende", "Enddatum"),
            "currency": ("currency", "Währung"),
            "budget": ("budget",),
        },
        ("client", "name"),
        _bring_project,
        numbers=("budget",),
        days=("starts_on", "ends_on"),
    ),
    "people": RecordImport(
        "people",
        {
            "name": ("name", "Person"),
            "email": ("email", "E-Mail-Adresse"),
            "external_id": ("external_id", "Number", "Personalnummer", "Nummer"),
        },
        ("name",),
        _bring_person,
    ),
}


def import_records(
    hub: Transactions,
    kind: str,
    source: Path | BinaryIO,
    *,
    name: str = "",
    mapping: Mapping[str, str] | None = None,
    day_order: DayOrder | None = None,
    create: bool = False,
    dry_run: bool = False,
    company_id: UUID | None = None,
    faults_folder: Path | None = None,
    actor: str = "command",
) -> ImportSummary:
    """Import clients, projects or people, and say what became of each row.

    One that is here already, by name (projects: of their client; people: by number first), is unchanged. create: make
    the clients of projects where they are missing. Other arguments are those of import_time. Raises NotFound for
    another kind, RuleBroken for a file that cannot be read, before anything is written.
    """
    if kind not in RECORD_IMPORTS:
        raise NotFound(f"“{kind}” cannot be imported. Use one of: {', '.join(RECORD_IMPORTS)}, time.")
    what = RECORD_IMPORTS[kind]
    with open_csv(source, name=name) as file:
        columns = _columns_of(what, file.header, mapping)
        writing = examine_writing(file, columns, numbers=what.numbers, days=what.days, day_order=day_order)
        with hub.read() as session:
            company = only_company(session, company_id).id if kind == "projects" else None
            places = Places(session, create=create, writes=not dry_run, company_id=company)
        summary = ImportSummary(notes=[*file.notes, *writing.notes])
        rows = file.rows()
        with FaultsFile(file, faults_folder or Path.cwd()) as faults:
            while slice_of_rows := list(islice(rows, ROWS_PER_TRANSACTION)):
                verdicts = _bring_all(hub, what, places, slice_of_rows, columns, writing, dry_run=dry_run, actor=actor)
                for row, made, wrong in verdicts:
                    _count(summary, faults, row, made, wrong)
            summary.faults_file = faults.path
        return summary


_Verdicts = list[tuple[CsvRow, bool, list[Fault]]]


def _columns_of(what: RecordImport, header: Sequence[str], mapping: Mapping[str, str] | None) -> ColumnMap:
    return resolve_columns(
        header, fields=what.fields, layouts=[what.layout], layout=what.kind if mapping else None, mapping=mapping
    )


def _bring_all(
    hub: Transactions,
    what: RecordImport,
    places: Places,
    rows: Sequence[CsvRow],
    columns: ColumnMap,
    writing: Writing,
    *,
    dry_run: bool,
    actor: str,
) -> _Verdicts:
    def work(session: Session) -> _Verdicts:
        if not dry_run:
            places.begin()
        return [(row, *_bring(what, places, session, RowCells(row, columns, writing))) for row in rows]

    if dry_run:
        with hub.read() as session:
            return work(session)
    verdicts = hub.transact(work, actor=actor)
    places.keep()
    return verdicts


def _bring(what: RecordImport, places: Places, session: Session, cells: RowCells) -> tuple[bool, list[Fault]]:
    """Whether the row's record was made, and what is wrong with the row."""
    values = dict(_values(what, cells))
    if cells.faults:
        return False, cells.faults
    try:
        return what.bring(places, session, values), []
    except NoPlace as exc:
        known = cells.columns.has(exc.field)
        cells.fault(exc.field if known else what.needed[-1], str(exc))
        return False, cells.faults


def _values(what: RecordImport, cells: RowCells) -> Iterator[tuple[str, Any]]:
    """The fields that the row fills."""
    for name in what.columns:
        value: Any = None
        if name in what.needed:
            value = cells.needed(name)
        elif name in what.numbers:
            value = cells.amount(name)
        elif name in what.days:
            value = cells.day(name)
        elif name in what.answers:
            value = cells.answer(name)
        elif name == "currency":
            value = cells.currency()
        else:
            value = cells.text(name)
        if value not in (None, ""):
            yield name, value


def _count(summary: ImportSummary, faults: FaultsFile, row: CsvRow, made: bool, wrong: Sequence[Fault]) -> None:
    summary.rows += 1
    if wrong:
        summary.rejected += 1
        summary.faults.extend(wrong[: _FAULTS_SHOWN - len(summary.faults)])
        faults.add(row, wrong)
    elif made:
        summary.created += 1
    else:
        summary.unchanged += 1
