"""Which column of a file is which field: known layouts, recognised by their header, and layouts of the user's own."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hub.core.errors import RuleBroken


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of file. columns: for each field the headings it is known by; needed: what its header must have."""

    name: str
    columns: Mapping[str, Sequence[str]]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Field:
    """What a kind of import can read, with its meaning for messages and help."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Where each field stands in one file. columns: for each field the positions, several if they are joined."""

    layout: str
    header: tuple[str, ...]
    columns: Mapping[str, tuple[int, ...]]

    def has(self, field: str) -> bool:
        return field in self.columns

    def heading(self, field: str) -> str:
        """The heading of a field's column, as the file has it."""
        return "+".join(self.header[position] for position in self.columns[field])

    def cells(self, field: str, row: Sequence[str]) -> tuple[str, ...]:
        """The field's cells of a row, without surrounding blanks; none if the file has no such column."""
        return tuple(row[position].strip() for position in self.columns.get(field, ()))

    def text(self, field: str, row: Sequence[str], *, joined_by: str = " ") -> str:
        return joined_by.join(cell for cell in self.cells(field, row) if cell)


TIME_FIELDS: Final = (
    Field("client", "the client's name"),
    Field("project", "the project's name"),
    Field("project_code", "the project's short code"),
    Field("task", "the task's name"),
    Field("person", "who worked: name or number"),
    Field("first_name", "first name of who worked"),
    Field("last_name", "last name of who worked"),
    Field("date", "the day of the work, or the day it was completed"),
    Field("start", "the day the work began"),
    Field("hours", "decimal hours or h:mm"),
    Field("note", "what was done"),
    Field("billable", "yes or no"),
    Field("approved", "yes or no"),
    Field("rate", "the rate per hour"),
    Field("currency", "the currency of the rate"),
    Field("external_id", "what tells the row apart where it comes from"),
)

HARVEST: Final = Layout(
    "harvest",
    {
        "date": ("Date", "Datum", "Tag"),
        "client": ("Client", "Kunde", "Kundenname", "Klient", "Mandant", "Auftraggeber"),
        "project": ("Project", "Projekt", "Projektname"),
        "project_code": ("Project Code", "Projektcode", "Projektnummer", "Projektkürzel", "Projektkennung"),
        "task": ("Task", "Aufgabe", "Tätigkeit", "Leistung"),
        "note": ("Notes", "Note", "Notizen", "Notiz", "Anmerkungen", "Bemerkungen", "Bemerkung", "Beschreibung"),
        "hours": ("Hours", "Stunden", "Stundenzahl"),
        "billable": ("Billable?", "Abrechenbar?", "Verrechenbar?", "Fakturierbar?"),
        "approved": ("Approved?", "Genehmigt?", "Bestätigt?", "Freigegeben?"),
        "first_name": ("First Name", "Vorname"),
        "last_name": ("Last Name", "Nachname", "Name", "Familienname"),
        "rate": (
            "Billable Rate",
            "Abrechnungssatz",
            "Abrechenbarer Satz",
            "Abrechenbarer Stundensatz",
            "Verrechnungssatz",
            "Verrechenbarer Satz",
            "Stundensatz",
        ),
        "currency": ("Currency", "Währung"),
    },
    frozenset({"date", "client", "project", "task", "hours", "first_name", "last_name"}),
)
"""Harvest's detailed time report. Source: the header row of its CSV export, with the German words for its columns."""

PLAIN_TIME: Final = Layout(
    "plain",
    {field.name: (field.name,) for field in TIME_FIELDS} | {"date": ("date", "worked_on")},
    frozenset({"client", "project", "task", "hours"}),
)
"""The fields' own names as headings."""

TIME_LAYOUTS: Final = (HARVEST, PLAIN_TIME)


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """The mapping from FIELD=COLUMN texts. Raises RuleBroken for a text without “=” and a field given twice."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        field, column = field.strip(), column.strip()
        if not (separator and field and column):
            raise _wrong_map(f"“{pair}” is no mapping. Write FIELD=COLUMN, for instance hours=Hours.")
        if field in mapping:
            raise _wrong_map(
                f"The field {field} is mapped twice. Join columns with “+”: {field}={mapping[field]}+{column}."
            )
        mapping[field] = column
    return mapping


def resolve_columns(
    header: Sequence[str],
    *,
    fields: Sequence[Field],
    layouts: Sequence[Layout],
    layout: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> ColumnMap:
    """Where each field stands in a file with this header.

    layout: the name of a known layout; without it and without a mapping the header tells. mapping: FIELD to COLUMN,
    or to several joined by “+”; it goes before what the layout says. Raises RuleBroken with a suggestion for an
    unknown layout, field or column.
    """
    mapping = dict(mapping or {})
    for field in mapping:
        _check_field(field, fields)
    chosen = _chosen_layout(header, layouts, layout, mapped=bool(mapping))
    columns = {}
    if chosen is not None:
        columns = _columns_of(chosen, header)
        missing = chosen.needed - columns.keys() - mapping.keys()
        if missing:
            first = min(missing)
            raise _wrong_map(
                f"The file has no column {chosen.columns[first][0]}, which the layout {chosen.name} needs. "
                f"Its columns are: {', '.join(header)}. Name the right one with --map {first}=COLUMN."
            )
    columns |= {field: _positions(column, header) for field, column in mapping.items()}
    return ColumnMap(chosen.name if chosen else "custom", tuple(header), columns)


def _chosen_layout(
    header: Sequence[str], layouts: Sequence[Layout], name: str | None, *, mapped: bool
) -> Layout | None:
    by_name = {layout.name: layout for layout in layouts}
    if name is not None:
        if name not in by_name:
            raise _wrong_map(f"There is no layout “{name}”. Use one of: {', '.join(by_name)}.")
        return by_name[name]
    if mapped:
        return None
    for layout in layouts:
        if layout.needed <= _columns_of(layout, header).keys():
            return layout
    raise _wrong_map(
        f"The columns ({', '.join(header)}) fit no known layout ({', '.join(by_name)}). "
        "Say which column is which field with --map FIELD=COLUMN."
    )


def _columns_of(layout: Layout, header: Sequence[str]) -> dict[str, tuple[int, ...]]:
    positions: dict[str, int] = {}
    for position, heading in enumerate(header):
        positions.setdefault(_normalised(heading), position)
    found: dict[str, tuple[int, ...]] = {}
    for field, headings in layout.columns.items():
        known = [positions[_normalised(heading)] for heading in headings if _normalised(heading) in positions]
        if known:
            found[field] = (known[0],)
    return found


def _check_field(field: str, fields: Sequence[Field]) -> None:
    names = [known.name for known in fields]
    if field not in names:
        raise _wrong_map(f"There is no field “{field}”.{_suggestion(field, names)} The fields are: {', '.join(names)}.")


def _positions(column: str, header: Sequence[str]) -> tuple[int, ...]:
    if column in header:  # a heading may hold a plus sign itself
        return (_position(column, header),)
    return tuple(_position(part.strip(), header) for part in column.split("+"))


def _position(heading: str, header: Sequence[str]) -> int:
    if header.count(heading) > 1:
        raise _wrong_map(f"The file has {header.count(heading)} columns called “{heading}”. Rename one of them.")
    if heading in header:
        return header.index(heading)
    raise _wrong_map(
        f"The file has no column “{heading}”.{_suggestion(heading, header)} Its columns are: {', '.join(header)}."
    )


def _suggestion(word: str, known: Sequence[str]) -> str:
    by_lower = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean “{by_lower[near[0]]}”?" if near else ""


def _normalised(heading: str) -> str:
    """Letters and digits alone, without accents: “Projekt-Code” is “Projektcode”, “Waehrung” is “Währung”."""
    spelled = heading.casefold().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    plain = unicodedata.normalize("NFKD", spelled)
    return re.sub(r"[^a-z0-9]", "", plain)


def _wrong_map(text: str) -> RuleBroken:
    return RuleBroken(text, code="unknown-layout")
