"""A CSV file is found out and checked as a whole before any of its rows is used."""

from __future__ import annotations

import io

import pytest

from hub.core.errors import RuleBroken
from hub.imports.csv_reader import open_csv


def read(data: bytes):
    with open_csv(io.BytesIO(data), name="time.csv") as file:
        return file.header, [(row.line, row.cells) for row in file.rows()]


@pytest.mark.parametrize(
    ("delimiter", "line_end"),
    [(",", "\n"), (";", "\r\n"), ("\t", "\n"), (",", "\r")],
    ids=["unix", "excel", "tab", "mac"],
)
def test_delimiter_and_line_ends_are_found_out(delimiter, line_end):
    data = line_end.join([delimiter.join(row) for row in (["Date", "Hours"], ["2026-03-02", "1"])]) + line_end
    assert read(data.encode()) == (("Date", "Hours"), [(2, ("2026-03-02", "1"))])


def test_a_delimiter_within_quotes_does_not_count():
    assert read(b'"a,b,c,d";e\n"1,2";3\n') == (("a,b,c,d", "e"), [(2, ("1,2", "3"))])


def test_lines_are_those_of_the_file_where_cells_span_several_and_empty_rows_are_left_out():
    data = b'Note,Hours\n"two\nlines",1\n\n,\n"say ""hi""",2\n'
    assert read(data)[1] == [(2, ("two\nlines", "1")), (6, ('say "hi"', "2"))]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Größe\nä€\n".encode(), "utf-8"),
        ("Größe\nä€\n".encode("utf-8-sig"), "utf-8-sig"),
        ("Größe\nä€\n".encode("cp1252"), "cp1252"),
    ],
)
def test_the_encoding_is_found_out_and_the_byte_order_mark_is_no_part_of_the_header(data, encoding):
    with open_csv(io.BytesIO(data)) as file:
        assert file.encoding == encoding
        assert file.header == ("Größe",)
        assert [row.cells for row in file.rows()] == [("ä€",)]


def test_a_file_that_is_not_utf8_is_read_as_windows_1252_and_says_so():
    with open_csv(io.BytesIO(b"Gr\xf6\xdfe\n1\n"), name="zeit.csv") as file:
        assert file.notes == ("zeit.csv is not UTF-8 and was read as Windows-1252; check letters such as ä, é and €.",)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "time.csv is empty. The first row must be a header that names the columns."),
        (b"\n \n", "time.csv is empty. The first row must be a header that names the columns."),
        (b"PK\x03\x04....", "time.csv is an Excel workbook or another zip file, not CSV. Save it as “CSV UTF-8”"),
        ("a,b\n".encode("utf-16"), "time.csv is UTF-16 text, not CSV."),
        (b"a,b\n\x00,1\n", "time.csv is neither UTF-8 nor Windows-1252 text."),
        (b"a,b\n\x81,1\n", "time.csv is neither UTF-8 nor Windows-1252 text."),
        (b'a,b\n1,2\n"3,4\n5,6\n', "time.csv, line 3: a double quote is opened and never closed."),
        (b'a,b\n1,2\n"3"x,4\n', "time.csv, line 3: text follows a closing double quote."),
        (
            b"a,b\n1,2\n3,4,5\n",
            "time.csv, line 3: the row has 3 cells, the header has 2. Put cells that hold a comma",
        ),
        (
            b"a;b\n1;2\n3\n",
            "time.csv, line 3: the row has 1 cell, the header has 2. Put cells that hold a semicolon",
        ),
    ],
)
def test_a_file_that_is_no_csv_is_refused_in_one_sentence_with_line_and_remedy(data, sentence):
    with pytest.raises(RuleBroken) as refused:
        read(data)
    assert str(refused.value).startswith(sentence)


def test_rows_may_end_with_a_delimiter():
    assert read(b"a,b\n1,2,\n")[1] == [(2, ("1", "2"))]


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with (
        pytest.raises(RuleBroken, match=r"There is no file .*gone\.csv\. Check the path\."),
        open_csv(tmp_path / "gone.csv"),
    ):
        pass
    with pytest.raises(RuleBroken, match="is a folder"), open_csv(tmp_path):
        pass


def test_a_file_can_be_read_again(tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text("a\n1\n2\n")
    with open_csv(path) as file:
        assert next(file.rows()).cells == ("1",)
        assert [row.cells for row in file.rows()] == [("1",), ("2",)]
