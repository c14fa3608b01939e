"""The `hub` command on a data directory of its own."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.command import HubCommand, command_on, end_logging


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`hub("company", "list", "--json").json`: the command line on a fresh data directory."""
    yield from command_on(tmp_path, monkeypatch, None)


@pytest.fixture
def firm(tmp_path, monkeypatch, firm_folder):
    """A hub with a company and a rate."""
    yield from command_on(tmp_path, monkeypatch, firm_folder)


@pytest.fixture
def worked(tmp_path, monkeypatch, worked_folder):
    """A hub with approved time: 2.50 h and 1.00 h for one project in October, 4.00 h for another in November."""
    yield from command_on(tmp_path, monkeypatch, worked_folder)


@pytest.fixture(scope="session")
def firm_folder(tmp_path_factory):
    """Made once; each test works on a copy."""
    hub = HubCommand(tmp_path_factory.mktemp("firm") / "var")
    hub("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP")
    hub("rate", "add", "--rate", "80.00", "--currency", "GBP")
    end_logging()
    return hub.data_dir


@pytest.fixture(scope="session")
def worked_folder(tmp_path_factory, firm_folder):
    """Made once; each test works on a copy."""
    folder = tmp_path_factory.mktemp("worked")
    hub = HubCommand(shutil.copytree(firm_folder, folder / "var"))
    file = folder / "time.csv"
    file.write_text(
        "client,project,task,person,date,hours,external_id\n"
        "Harbour Foods,Website,Design,Ada,2026-10-01,2.50,1\n"
        "Harbour Foods,Website,Design,Ada,2026-10-02,1.00,2\n"
        "Mill Road Books,Shop,Build,Grace,2026-11-03,4.00,3\n"
    )
    hub("import", "time", str(file), "--create")
    hub("time", "approve", "--all")
    end_logging()
    return hub.data_dir
