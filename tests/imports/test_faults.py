"""Rows that cannot be imported come back in a file to mend, with all that is wrong with them."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest

from hub.core.errors import RuleBroken
from hub.imports.csv_reader import CsvRow, open_csv
from hub.imports.faults import FaultsFile, ImportSummary
from hub.imports.row_cells import Fault


@pytest.fixture
def source():
    with open_csv(io.BytesIO(b"Client,Hours\n=Acme,many\n"), name="time.csv") as file:
        yield file


def test_without_faults_there_is_no_file(source, tmp_path):
    with FaultsFile(source, tmp_path) as faults:
        pass
    assert faults.path is None
    assert list(tmp_path.iterdir()) == []


def test_the_original_cells_stand_first_and_our_own_are_no_formulas(source, tmp_path):
    with FaultsFile(source, tmp_path) as faults:
        [row] = source.rows()
        faults.add(row, [Fault(2, "Client", "=Acme", "is unknown"), Fault(2, "Hours", "many", "is no number of hours")])
    assert faults.path == tmp_path / "time.faults.csv"
    assert faults.path.read_text() == (
        "Client,Hours,error_line,error_column,error_value,error_reason\n"
        "=Acme,many,2,Client | Hours,'=Acme | many,is unknown | is no number of hours\n"
    )


def test_a_mended_faults_file_keeps_its_columns_and_no_file_is_written_over(tmp_path):
    data = b"Client;Hours;error_line;error_column;error_value;error_reason\nAcme;1,5;2;Hours;many;is none\n"
    (tmp_path / "time.faults.csv").write_bytes(data)
    with open_csv(tmp_path / "time.faults.csv") as file, FaultsFile(file, tmp_path) as faults:
        [row] = file.rows()
        faults.add(row, [Fault(2, "Client", "Acme", "is unknown")])
    assert faults.path == tmp_path / "time.faults-2.csv"
    assert faults.path.read_text() == (
        "Client;Hours;error_line;error_column;error_value;error_reason\nAcme;1,5;2;Client;Acme;is unknown\n"
    )
    assert (tmp_path / "time.faults.csv").read_bytes() == data


@pytest.mark.parametrize(("data", "mark"), [(b"\xef\xbb\xbfA\n1\n", True), (b"\xe4\n1\n", True), (b"A\n1\n", False)])
def test_a_byte_order_mark_is_written_for_those_who_use_one(data, mark, tmp_path):
    with open_csv(io.BytesIO(data), name="a.csv") as file, FaultsFile(file, tmp_path) as faults:
        faults.add(CsvRow(2, ("1",)), [Fault(2, "A", "1", "is wrong")])
    assert faults.path.read_bytes().startswith(b"\xef\xbb\xbf") is mark


def test_a_folder_that_cannot_be_written_to_is_named(source, tmp_path):
    with (
        pytest.raises(RuleBroken, match=r"cannot be written to .*gone: No such file or directory\."),
        FaultsFile(source, tmp_path / "gone") as faults,
    ):
        faults.add(CsvRow(2, ("", "")), [Fault(2, "Client", "", "is empty")])


def test_an_import_that_breaks_off_leaves_no_file_behind(source, tmp_path):
    with pytest.raises(KeyError), FaultsFile(source, tmp_path) as faults:
        faults.add(CsvRow(2, ("", "")), [Fault(2, "Client", "", "is empty")])
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_the_summary_for_programs():
    summary = ImportSummary(
        rows=3, created=1, unchanged=1, rejected=1, hours=Fraction(5, 2), rejected_hours=Fraction(1, 4)
    )
    counts = summary.as_json()
    assert {name: counts[name] for name in ("rows", "created", "unchanged", "rejected")} == {
        "rows": 3,
        "created": 1,
        "unchanged": 1,
        "rejected": 1,
    }
    assert (counts["hours"], counts["rejected_hours"], counts["faults_file"]) == ("2.50", "0.25", None)
