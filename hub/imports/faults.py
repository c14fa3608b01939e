"""What an import says at its end: the file of rows to mend, and the counts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from hub.core.errors import RuleBroken
from hub.imports.cell_values import hours_text
from hub.imports.csv_reader import CsvFile, CsvRow
from hub.imports.row_cells import Fault

FAULT_COLUMNS: Final = ("error_line", "error_column", "error_value", "error_reason")
_BETWEEN: Final = " | "
_STARTS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class ImportSummary:
    """What an import did, or in a dry run would do. Every row of the file is in one of the three counts.

    rows: rows of the file. hours, rejected_hours: what the imported rows (created and unchanged) and the rejected rows
    say, together the hours of the file as far as they can be read. entries: blocks of work created; more than `created`
    where a row was spread over days. faults: the first hundred, for people. notes: how the file was read.
    """

    rows: int = 0
    created: int = 0
    unchanged: int = 0
    rejected: int = 0
    entries: int = 0
    hours: Fraction = Fraction(0)
    rejected_hours: Fraction = Fraction(0)
    faults_file: Path | None = None
    batch_id: str | None = None
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The counts for programs; hours as strings."""
        return {
            "rows": self.rows,
            "created": self.created,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "hours": hours_text(self.hours),
            "rejected_hours": hours_text(self.rejected_hours),
            "faults_file": str(self.faults_file) if self.faults_file else None,
            "entries": self.entries,
            "batch_id": self.batch_id,
            "faults": [
                {"line": fault.line, "column": fault.column, "value": fault.value, "reason": fault.reason}
                for fault in self.faults
            ],
            "notes": self.notes,
        }


class FaultsFile(AbstractContextManager["FaultsFile"]):
    """Collects the rows to mend in a CSV file beside which nothing else need be kept: mend it and import it.

    The original columns stand first, as they were, then line, column, value and reason of the faults. The file is
    made with the first row; `path` is None as long as there is none. No file is ever written over.
    """

    def __init__(self, file: CsvFile, folder: Path) -> None:
        self.path: Path | None = None
        self._file = file
        self._folder = folder
        self._kept = [i for i, heading in enumerate(file.header) if heading not in FAULT_COLUMNS]
        self._stream: TextIO | None = None

    def add(self, row: CsvRow, faults: Sequence[Fault]) -> None:
        """Write one row with all that is wrong with it. Raises RuleBroken when the file cannot be written."""
        try:
            stream = self._stream or self._begin()
            csv.writer(stream, delimiter=self._file.delimiter, lineterminator="\n").writerow(
                [row.cells[position] for position in self._kept]
                + [
                    str(row.line),
                    *(
                        _harmless(_BETWEEN.join(parts))
                        for parts in zip(*((fault.column, fault.value, fault.reason) for fault in faults), strict=True)
                    ),
                ]
            )
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        try:
            self._stream.close()
        except OSError as exc:
            if error is None:
                raise self._unwritable(exc) from exc
        finally:
            if error is not None and self.path is not None:
                self.path.unlink(missing_ok=True)

    def _begin(self) -> TextIO:
        # A mark at the start tells Excel that the file is UTF-8; a source without one was not written for it.
        encoding = "utf-8" if self._file.encoding == "utf-8" else "utf-8-sig"
        number = 1
        while self._stream is None:
            path = self._folder / f"{_stem(self._file.name)}.faults{'' if number == 1 else f'-{number}'}.csv"
            number += 1
            try:
                self._stream = path.open("x", encoding=encoding, newline="")
            except FileExistsError:
                continue
            self.path = path
        headings = [self._file.header[position] for position in self._kept]
        csv.writer(self._stream, delimiter=self._file.delimiter, lineterminator="\n").writerow(
            [*headings, *FAULT_COLUMNS]
        )
        return self._stream

    def _unwritable(self, exc: OSError) -> RuleBroken:
        return RuleBroken(
            f"The rows with faults cannot be written to {self._folder}: {exc.strerror}. "
            "Choose another folder or make room, and import again.",
            code="faults-unwritable",
        )


def _stem(name: str) -> str:
    stem = Path(name).stem.partition(".faults")[0]
    return stem or "import"


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_STARTS_FORMULA) else text
