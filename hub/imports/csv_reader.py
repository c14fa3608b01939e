"""CSV files as people export them: found out, checked as a whole, then read row by row.

A file is looked through once before any row is used: its encoding, its delimiter and its shape are known then, and a
malformed file is refused before anything is half-done. Nothing but one row at a time is kept in memory.
"""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hub.core.errors import RuleBroken

DELIMITERS: Final = (",", ";", "\t")

_CHUNK: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20
_NOT_CSV: Final = {
    b"PK\x03\x04": "is an Excel workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook",
    b"%PDF": "is a PDF",
    b"\xff\xfe": "is UTF-16 text",
    b"\xfe\xff": "is UTF-16 text",
}


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row. line: the line of the file where it starts, counted from 1. cells: as many as the header has."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file that can be read as often as needed.

    encoding: utf-8, utf-8-sig (with a byte order mark) or cp1252. notes: what a person should know about how the
    file was read.
    """

    name: str
    source: BinaryIO
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    notes: tuple[str, ...]

    def rows(self) -> Iterator[CsvRow]:
        """The rows after the header, without empty ones. Raises RuleBroken for a malformed row."""
        with closing(_records(self.name, self.source, self.encoding, self.delimiter)) as records:
            next(records)
            for line, cells in records:
                yield CsvRow(line, tuple(self._fitted(line, cells)))

    def _fitted(self, line: int, cells: list[str]) -> list[str]:
        width = len(self.header)
        if len(cells) > width and not any(cells[width:]):
            return cells[:width]  # some programs end each row with a delimiter
        if len(cells) != width:
            held = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            raise RuleBroken(
                f"{self.name}, line {line}: the row has {held}, the header has {width}. "
                f"Put cells that hold {_name_of(self.delimiter)} or a line break in double quotes.",
                code="malformed-csv",
            )
        return cells


@contextmanager
def open_csv(source: Path | BinaryIO, *, name: str = "") -> Iterator[CsvFile]:
    """A CSV file, looked through and ready to be read.

    source: a path, or a stream of bytes (an upload, standard input), which is kept in a temporary file. Raises
    RuleBroken, in one sentence with the line and the remedy, for a file that is missing, empty, no text or malformed.
    """
    if isinstance(source, Path):
        with _opened(source) as stream:
            yield _examined(stream, name or source.name)
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        while chunk := source.read(_CHUNK):
            kept.write(chunk)
        yield _examined(kept, name or "the file")  # type: ignore[arg-type]


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise RuleBroken(f"{path} is a folder. Name the CSV file in it.", code="no-such-file")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise RuleBroken(f"There is no file {path}. Check the path.", code="no-such-file") from None
    except OSError as exc:
        raise RuleBroken(f"{path} cannot be read: {exc.strerror}. Check its permissions.", code="no-such-file") from exc


def _examined(stream: BinaryIO, name: str) -> CsvFile:
    encoding = _encoding(stream, name)
    notes: tuple[str, ...] = ()
    if encoding == "cp1252":
        notes = (f"{name} is not UTF-8 and was read as Windows-1252; check letters such as ä, é and €.",)
    delimiter = _delimiter(stream, encoding)
    first = _first_record(name, stream, encoding, delimiter)
    if first is None:
        raise RuleBroken(f"{name} is empty. The first row must be a header that names the columns.", code="empty-file")
    file = CsvFile(name, stream, encoding, delimiter, tuple(cell.strip() for cell in first), notes)
    for _ in file.rows():
        pass  # a malformed row is refused here, before anything is done with the rows above it
    return file


def _encoding(stream: BinaryIO, name: str) -> str:
    stream.seek(0)
    start = stream.read(4)
    for magic, what in _NOT_CSV.items():
        if start.startswith(magic):
            raise RuleBroken(f"{name} {what}, not CSV. Save it as “CSV UTF-8” and try again.", code="not-csv")
    if start.startswith(codecs.BOM_UTF8) and _decodes(stream, "utf-8-sig"):
        return "utf-8-sig"
    for encoding in ("utf-8", "cp1252"):
        if _decodes(stream, encoding):
            return encoding
    raise RuleBroken(
        f"{name} is neither UTF-8 nor Windows-1252 text. Save it as “CSV UTF-8” and try again.", code="not-csv"
    )


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    stream.seek(0)
    try:
        while chunk := stream.read(_CHUNK):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(stream: BinaryIO, encoding: str) -> str:
    """The delimiter that cuts the header into the most columns."""
    widths = {delimiter: _header_width(stream, encoding, delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: widths[delimiter])


def _header_width(stream: BinaryIO, encoding: str, delimiter: str) -> int:
    try:
        return len(_first_record("", stream, encoding, delimiter) or [])
    except RuleBroken:
        return 0


def _first_record(name: str, stream: BinaryIO, encoding: str, delimiter: str) -> list[str] | None:
    with closing(_records(name, stream, encoding, delimiter)) as records:
        return next((cells for _, cells in records), None)


def _records(
    name: str, stream: BinaryIO, encoding: str, delimiter: str
) -> Generator[tuple[int, list[str]], None, None]:
    """Rows with the line each starts on; empty rows are left out."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as exc:
        raise _malformed(name, line, str(exc)) from exc
    finally:
        text.detach()  # closing the wrapper would close the stream, which is read again


def _malformed(name: str, line: int, reason: str) -> RuleBroken:
    if "unexpected end" in reason or "field larger" in reason:
        text = (
            f"{name}, line {line}: a double quote is opened and never closed. Close it, or double it within the cell."
        )
    elif "expected after" in reason:
        text = f"{name}, line {line}: text follows a closing double quote. Write a quote within a quoted cell twice."
    else:
        text = f"{name}, line {line}: the row is not CSV ({reason}). Save the file as “CSV UTF-8” and try again."
    return RuleBroken(text, code="malformed-csv")


def _name_of(delimiter: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}[delimiter]
