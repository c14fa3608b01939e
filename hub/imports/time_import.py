"""Brings a time export into the hub: every row is created, unchanged or, with its reason, in the faults file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.core.companies.service import only_company
from hub.core.database import uuid7
from hub.core.timesheets.models import ImportBatch, TimeEntry
from hub.core.timesheets.service import Block, counts, record_blocks
from hub.imports.batches import Transactions, digest_of, publish_batch, take_back_unpublished
from hub.imports.cell_values import SECONDS_PER_HOUR, DayOrder, hours_text
from hub.imports.csv_reader import CsvFile, open_csv
from hub.imports.faults import FaultsFile, ImportSummary
from hub.imports.layouts import TIME_FIELDS, TIME_LAYOUTS, ColumnMap, Layout, resolve_columns
from hub.imports.places import NoPlace, Places
from hub.imports.row_cells import Fault, examine_writing
from hub.imports.time_rows import BadRow, GoodRow, TimeRow, check_columns, read_time_rows

ENTRIES_PER_TRANSACTION: Final = 100
"""With a task for each at most, that is what one transaction may write."""

_FAULTS_SHOWN: Final = 100
_TRIES: Final = 3


class Outcome(StrEnum):
    CREATED = "created"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row. entries: how many blocks of work were written."""

    row: GoodRow | BadRow
    outcome: Outcome
    entries: int = 0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """An entry that is in the hub already."""

    worked_on: date
    seconds: int


@dataclass(frozen=True, slots=True)
class _Placed:
    """A row that is to be written, and where."""

    row: GoodRow
    project_id: UUID
    person_id: UUID


def import_time(
    hub: Transactions,
    source: Path | BinaryIO,
    *,
    name: str = "",
    layout: str | None = None,
    mapping: Mapping[str, str] | None = None,
    layouts: Sequence[Layout] = TIME_LAYOUTS,
    day_order: DayOrder | None = None,
    create: bool = False,
    dry_run: bool = False,
    company_id: UUID | None = None,
    faults_folder: Path | None = None,
    actor: str = "command",
) -> ImportSummary:
    """Import a time export, and say what became of each row.

    A row is known by its external id: what was imported before is unchanged. create: make the clients, projects, tasks
    and people that are missing; otherwise a row that names one is a fault. dry_run: write nothing but the faults file.
    mapping: FIELD to COLUMN for files of no known layout. faults_folder: unless given, the current one. Time arrives
    open, whatever the file says of approvals; rates are those of the hub's rate cards. Raises RuleBroken for a file
    that cannot be read, before anything is written.
    """
    with open_csv(source, name=name) as file:
        columns = resolve_columns(file.header, fields=TIME_FIELDS, layouts=layouts, layout=layout, mapping=mapping)
        check_columns(columns)
        writing = examine_writing(file, columns, numbers=("hours", "rate"), days=("date", "start"), day_order=day_order)
        digest = digest_of(file.source)
        with hub.read() as session:
            company = only_company(session, company_id).id if create else None
            places = Places(session, create=create, writes=not dry_run, company_id=company)
        work = _TimeImport(hub, file, columns, places, digest=digest, dry_run=dry_run, actor=actor)
        work.summary.notes.extend((*file.notes, *writing.notes))
        with FaultsFile(file, faults_folder or Path.cwd()) as faults:
            for rows in _slices(read_time_rows(file, columns, writing)):
                for verdict in work.write(rows):
                    _count(work.summary, verdict, faults)
            work.summary.faults_file = faults.path
            work.publish()
        return work.summary


@dataclass
class _TimeImport:
    hub: Transactions
    file: CsvFile
    columns: ColumnMap
    places: Places
    digest: str
    dry_run: bool
    actor: str
    batch_id: UUID = field(default_factory=uuid7)
    summary: ImportSummary = field(default_factory=ImportSummary)

    def write(self, rows: Sequence[GoodRow | BadRow]) -> list[Verdict]:
        """Bring in some rows in one transaction."""
        if self.dry_run:
            with self.hub.read() as session:
                return self._judge_all(session, rows)
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                verdicts = self.hub.transact(lambda session: self._judge_all(session, rows), actor=self.actor)
            except IntegrityError:
                # Someone imported the same rows at the same moment. The second look finds theirs.
                if last:
                    raise
            else:
                self.places.keep()
                return verdicts
        raise AssertionError("unreachable")

    def publish(self) -> None:
        """Let what was imported count, all at once."""
        if self.dry_run or not self.summary.created:
            return
        summary = self.summary.as_json()
        shown = {name: summary[name] for name in ("rows", "created", "unchanged", "rejected", "hours")}
        self.hub.transact(lambda session: publish_batch(session, self.batch_id, shown), actor=self.actor)
        self.summary.batch_id = str(self.batch_id)

    def _judge_all(self, session: Session, rows: Sequence[GoodRow | BadRow]) -> list[Verdict]:
        if not self.dry_run:
            self.places.begin()
        known = _known_entries(session, [row for row in rows if isinstance(row, GoodRow)])
        placed: list[_Placed] = []
        verdicts = [self._judge(session, row, known, placed) for row in rows]
        self.places.make_tasks(session, ((item.project_id, item.row.entries[0]) for item in placed))
        if placed and not self.dry_run:
            self._write(session, placed, known)
        return verdicts

    def _judge(
        self, session: Session, row: GoodRow | BadRow, known: Mapping[str, _Known], placed: list[_Placed]
    ) -> Verdict:
        """What becomes of a row; one that is to be written is added to `placed`."""
        if isinstance(row, BadRow):
            return Verdict(row, Outcome.REJECTED, faults=row.faults)
        if row.given_id and (conflict := _conflict(row, known)):
            fault = Fault(row.source.line, self.columns.heading("external_id"), row.external_id, conflict)
            return Verdict(row, Outcome.REJECTED, faults=(fault,))
        if all(entry.external_id in known for entry in row.entries):
            return Verdict(row, Outcome.UNCHANGED)
        found, faults = self._place(session, row)
        if found is None:
            return Verdict(row, Outcome.REJECTED, faults=faults)
        placed.append(found)
        missing = [entry for entry in row.entries if entry.external_id not in known]
        return Verdict(row, Outcome.CREATED, entries=len(missing))

    def _place(self, session: Session, row: GoodRow) -> tuple[_Placed | None, tuple[Fault, ...]]:
        """The project and the person of a row, or all that is wrong with them."""
        faults: list[Fault] = []
        found: list[UUID] = []
        entry = row.entries[0]
        for find in (self.places.project, self.places.person):
            try:
                found.append(find(session, entry))
            except NoPlace as exc:
                value = str(getattr(entry, exc.field, ""))
                faults.append(Fault(entry.line, self._heading(exc.field), value, str(exc)))
        return (None, tuple(faults)) if faults else (_Placed(row, *found), ())

    def _write(self, session: Session, placed: Sequence[_Placed], known: Mapping[str, _Known]) -> None:
        if session.get(ImportBatch, self.batch_id) is None:
            session.add(ImportBatch(id=self.batch_id, kind="time", file_name=self.file.name, digest=self.digest))
            session.flush()
        new = [(item, entry) for item in placed for entry in item.row.entries if entry.external_id not in known]
        take_back_unpublished(session, [entry.external_id for _, entry in new])
        record_blocks(session, [self._block(item, entry) for item, entry in new])

    def _block(self, placed: _Placed, entry: TimeRow) -> Block:
        return Block(
            task_id=self.places.task(placed.project_id, entry),
            person_id=placed.person_id,
            worked_on=entry.worked_on,
            seconds=entry.seconds,
            note=entry.note,
            billable=entry.billable,
            external_id=entry.external_id,
            import_batch_id=self.batch_id,
        )

    def _heading(self, field_name: str) -> str:
        if field_name == "person" and not self.columns.has("person"):
            field_name = "last_name" if self.columns.has("last_name") else "first_name"
        return self.columns.heading(field_name) if self.columns.has(field_name) else field_name


def _slices(rows: Iterable[GoodRow | BadRow]) -> Iterator[list[GoodRow | BadRow]]:
    """Rows in their order, together no more entries than one transaction may write, unless one row has more."""
    together: list[GoodRow | BadRow] = []
    entries = 0
    for row in rows:
        count = len(row.entries) if isinstance(row, GoodRow) else 1
        if together and entries + count > ENTRIES_PER_TRANSACTION:
            yield together
            together, entries = [], 0
        together.append(row)
        entries += count
    if together:
        yield together


def _known_entries(session: Session, rows: Sequence[GoodRow]) -> dict[str, _Known]:
    """What the hub has of these rows: under the ids of their entries, or as the whole row, or its first part."""
    ids = {entry.external_id for row in rows for entry in row.entries}
    ids |= {external_id for row in rows for external_id in (row.external_id, f"{row.external_id}#1")}
    found = session.execute(
        select(TimeEntry.external_id, TimeEntry.worked_on, TimeEntry.seconds).where(
            TimeEntry.external_id.in_(ids), counts()
        )
    )
    return {str(external_id): _Known(worked_on, seconds) for external_id, worked_on, seconds in found}


def _conflict(row: GoodRow, known: Mapping[str, _Known]) -> str:
    """Why a row with an id of its own is not what was imported under it; empty when it is, or is new.

    Taking it for unchanged would lose its hours; creating it would count the work twice.
    """
    wanted = {entry.external_id: entry for entry in row.entries}
    for external_id in sorted({row.external_id, f"{row.external_id}#1", *wanted} & known.keys()):
        entry, there = wanted.get(external_id), known[external_id]
        if entry is None or (entry.worked_on, entry.seconds) != (there.worked_on, there.seconds):
            hours = hours_text(Fraction(there.seconds, SECONDS_PER_HOUR))
            return (
                f"is in the hub with {hours} h on {there.worked_on}; change the time there, "
                "or give the row an id of its own"
            )
    return ""


def _count(summary: ImportSummary, verdict: Verdict, faults: FaultsFile) -> None:
    summary.rows += 1
    summary.entries += verdict.entries
    if verdict.outcome is Outcome.REJECTED:
        summary.rejected += 1
        summary.rejected_hours += verdict.row.hours or 0
        summary.faults.extend(verdict.faults[: _FAULTS_SHOWN - len(summary.faults)])
        faults.add(verdict.row.source, verdict.faults)
        return
    summary.hours += verdict.row.hours or 0
    if verdict.outcome is Outcome.CREATED:
        summary.created += 1
    else:
        summary.unchanged += 1
