"""Connections from the command line, against QuickBooks' stand-in as a real server."""

from __future__ import annotations

import csv
import json
import shutil
import socket

import pytest

from hub.cli.sandbox import spec_of
from tests.cli.command import HubCommand, command_on, end_logging


@pytest.fixture
def vendor():
    """QuickBooks' stand-in: a British company."""
    with spec_of("quickbooks").create(country="GB", currency="GBP").serve() as server:
        yield server


@pytest.fixture(scope="session")
def invoiced_folder(tmp_path_factory, worked_folder, queue_server_url):
    """A hub with two issued invoices and QuickBooks enabled; made once, each test works on a copy."""
    command = HubCommand(shutil.copytree(worked_folder, tmp_path_factory.mktemp("invoiced") / "var"))
    command("invoice", "draft", "--by", "project")
    command("invoice", "issue", "--all")
    command("plugin", "enable", "quickbooks")
    end_logging()
    return command.data_dir


@pytest.fixture
def books(tmp_path, monkeypatch, invoiced_folder, vendor, queue_server):
    """A hub with two issued invoices and the settings of a connection, not connected yet."""
    monkeypatch.setenv("HUB_REDIS_URL", queue_server)
    (tmp_path / "books.json").write_text(json.dumps(vendor.settings))
    yield from command_on(tmp_path, monkeypatch, invoiced_folder, keep=("HUB_REDIS_URL",))


@pytest.fixture
def connected(books):
    books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json")
    return books


def test_adding_a_connection_enables_its_plugin_and_says_so(worked, tmp_path, monkeypatch, vendor, queue_server):
    monkeypatch.setenv("HUB_REDIS_URL", queue_server)
    (tmp_path / "books.json").write_text(json.dumps(vendor.settings))

    answer = worked("connection", "add", "quickbooks", "--name", "books", "--config", "books.json")

    assert answer.err == "Enabled the plugin quickbooks.\n"
    assert answer.out == "books is connected to Sandbox Company (sandbox) and reads and writes.\n"


def test_a_setting_given_by_name_goes_before_the_file(books):
    answer = books(
        "connection", "add", "quickbooks", "--name", "b", "--config", "books.json", "--set", "client_secret=no", code=1
    )

    assert len(answer.err.strip().splitlines()) == 1
    assert books("connection", "list", "--json").json == []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda given: given.pop("realm_id"), "realm_id: "),
        (lambda given: given.update(environment="moon"), "environment: "),
        (lambda given: given.update(nonsense=1), "nonsense: Unknown field."),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_kept(books, tmp_path, vendor, spoil, sentence):
    settings = dict(vendor.settings)
    spoil(settings)
    (tmp_path / "books.json").write_text(json.dumps(settings))

    answer = books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", code=1)

    assert sentence in answer.err
    assert books("connection", "list", "--json").json == []


def test_a_vendor_that_cannot_be_reached_is_one_sentence_and_nothing_is_kept(books, tmp_path, vendor):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        settings = json.dumps(vendor.settings).replace(vendor.url, nobody)
        (tmp_path / "books.json").write_text(settings)

        answer = books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", code=1)

    assert "127.0.0.1" in answer.err
    assert books("connection", "list", "--json").json == []


@pytest.mark.parametrize("content", ["not json", "[1, 2]", '"text"'])
def test_settings_that_are_no_json_object(books, tmp_path, content):
    (tmp_path / "books.json").write_text(content)

    answer = books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", code=1)

    assert "books.json" in answer.err


def test_an_unknown_connector_is_named_with_those_there_are(books):
    answer = books("connection", "add", "netsuite", "--name", "erp", code=1)

    assert answer.err == (
        "Error: There is no connector called “netsuite” among the installed plugins. "
        "There is: quickbooks, salesforce.\n"
    )


def test_a_name_is_given_once(connected):
    answer = connected("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", code=1)

    assert "There is a connection called “books” already." in answer.err


def test_secrets_are_shown_nowhere(connected, vendor):
    shown = connected("connection", "show", "books").out + connected("connection", "list", "--json").out

    assert vendor.settings["client_secret"] not in shown
    assert vendor.settings["refresh_token"] not in shown
    log = (connected.data_dir / "log" / "hub.log").read_text()
    assert vendor.settings["client_secret"] not in log


def test_a_connection_is_tested_with_its_findings(connected):
    checked = connected("connection", "check", "books", "--json").json

    assert checked["ok"] is True
    assert checked["account_name"] == "Sandbox Company"
    assert checked["findings"]


def test_a_connection_that_was_cut_off_over_there_needs_attention(connected, vendor):
    vendor.sandbox.disconnect()

    connected("connection", "check", "books", code=1)

    (listed,) = connected("connection", "list", "--json").json
    assert listed["state"] == "needs_attention"
    assert "needs attention" in connected("sync", "books", code=1).err


def test_a_connection_whose_calls_fail_is_left_alone_and_says_until_when(connected, vendor):
    vendor.sandbox.add_fault(status=503, times=5)
    for _ in range(5):
        connected("connection", "check", "books", code=1)

    shown = connected("connection", "show", "books", "--json").json

    assert shown["failed_in_row"] == 5
    assert "503" in shown["last_failure"]
    assert shown["left_alone_since"] < shown["tried_again_at"]
    assert "left alone for a while" in connected("sync", "books", "--dry-run", code=1).err
    connected("connection", "check", "books")
    assert connected("connection", "show", "books", "--json").json["tried_again_at"] is None


def test_a_connection_can_rest(connected):
    assert connected("connection", "pause", "books").out == "books is paused.\n"
    assert "The connection books is paused." in connected("sync", "books", code=1).err
    assert connected("connection", "resume", "books").out == "books reads and writes.\n"


def test_a_read_only_connection_writes_nothing_until_it_may(books, vendor):
    books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", "--read-only")
    books("sync", "books")
    assert vendor.sandbox.effects(operation="create", actor="api") == []

    books("connection", "resume", "books", "--write")
    books("sync", "books")
    assert len(vendor.sandbox.effects(operation="create", kind="Invoice")) == 2


def test_removing_asks_first(connected):
    connected("connection", "remove", "books", given="n\n", code=1)
    assert len(connected("connection", "list", "--json").json) == 1

    connected("connection", "remove", "books", "--yes")
    assert connected("connection", "list", "--json").json == []


def test_changing_nothing_is_wrong_usage_and_a_wrong_value_is_refused(connected):
    connected("connection", "set", "books", code=2)

    assert "environment: " in connected("connection", "set", "books", "environment=moon", code=1).err


def test_a_run_says_what_it_did(connected):
    run = connected("sync", "books", "--json").json

    assert (run["status"], run["rejected"], run["deferred"]) == ("success", 0, 0)
    assert run["read"] == run["created"] == 5  # two clients, one service, two invoices


def test_a_run_of_one_stream_or_one_way_does_only_that(connected, vendor):
    connected("sync", "books", "--direction", "pull")
    assert vendor.sandbox.effects(operation="create", actor="api") == []

    answer = connected("sync", "books", "--stream", "nonsense", code=1)
    assert "has no stream nonsense" in answer.err


def test_an_unknown_connection_is_named_with_those_there_are(connected):
    for command in (["sync"], ["reconcile"], ["match", "list"], ["connection", "show"]):
        answer = connected(*command, "boks", code=1)
        assert answer.err == "Error: There is no connection called “boks”. There is: books.\n"


def test_both_sides_are_equal_to_the_cent(connected):
    connected("sync", "books")

    assert connected("reconcile", "books").out.endswith("Equal to the cent: 2 documents.\n")
    found = connected("reconcile", "books", "--json").json
    assert (found["equal"], found["counts"]["matched"]) == (True, 2)


def test_every_document_is_written_to_a_file_to_keep(connected, tmp_path):
    connected("sync", "books")

    connected("reconcile", "books", "--csv", str(tmp_path / "books.csv"))
    with (tmp_path / "books.csv").open(encoding="utf-8") as lines:
        assert [(row["number"], row["verdict"], row["ours"] == row["theirs"]) for row in csv.DictReader(lines)] == [
            ("INV-00001", "matched", True),
            ("INV-00002", "matched", True),
        ]


def test_before_the_first_run_they_are_not(connected):
    found = connected("reconcile", "books", "--json", code=1).json

    assert (found["equal"], found["counts"]["missing_there"]) == (False, 2)


def test_an_amount_that_was_changed_over_there_is_named(connected, vendor):
    connected("sync", "books")
    vendor.sandbox.void_invoice(number="INV-00001")

    answer = connected("reconcile", "books", code=1)

    assert "amount_differs" in answer.out
    assert "INV-00001" in answer.out
    assert "1 document of 2 not equal." in answer.out


def test_a_refused_record_waits_for_a_person_and_goes_out_again(connected, vendor):
    vendor.sandbox.close_books(until="2026-10-31")
    run = connected("sync", "books", "--json", code=3).json
    assert (run["status"], run["rejected"]) == ("partial", 1)

    (parked,) = connected("deadletter", "list", "--json").json
    assert (parked["label"], parked["connection"]) == ("INV-00001 Harbour Foods", "books")
    assert connected("deadletter", "show", parked["id"], "--json").json["attempts"][0]["status"] == "rejected"

    vendor.sandbox.close_books(until="")
    assert connected("deadletter", "retry", "--all").out == "1 record will be sent again.\n"
    connected("sync", "books")
    assert connected("deadletter", "list").out == "Nothing waits for a person.\n"
    assert connected("reconcile", "books").code == 0


def test_a_record_is_ignored_with_a_reason(connected, vendor):
    vendor.sandbox.close_books(until="2026-10-31")
    connected("sync", "books", code=3)
    (parked,) = connected("deadletter", "list", "--json").json

    connected("deadletter", "ignore", parked["id"], code=2)
    answer = connected("deadletter", "ignore", parked["id"], "--reason", "Booked by hand.")

    assert answer.out == "“INV-00001 Harbour Foods” will not be sent: Booked by hand.\n"
    assert connected("deadletter", "list", "--json").json == []


def test_a_link_is_found_by_number_and_by_its_id_over_there(connected):
    connected("sync", "books")

    (link,) = connected("link", "show", "INV-00001", "--json").json
    (same,) = [row for row in connected("link", "show", link["remote_id"], "--json").json if row["kind"] == "invoices"]
    assert same["id"] == link["id"]


def test_the_timeline_of_an_invoice_tells_its_way(connected):
    connected("sync", "books")

    told = [row["what"] for row in connected("timeline", "invoices", "INV-00001", "--json").json]

    assert told[0] == "create"
    assert told[-3:] == ["push create", "push created", "now in step"]
    assert "invoice_issued" in told


def test_the_timeline_names_a_record_by_its_id_over_there_and_tells_the_money_that_was_sent(connected):
    connected("sync", "books")
    (link,) = connected("link", "show", "INV-00001", "--json").json

    rows = connected("timeline", "invoices", link["remote_id"], "--json").json

    assert rows == connected("timeline", "invoices", "INV-00001", "--json").json[:-1] + rows[-1:]
    (sent,) = [row["fields"] for row in rows if row["what"] == "push create"]
    assert sent["DocNumber"] == {"sent": "INV-00001"}


def test_nothing_is_to_be_matched(connected):
    assert connected("match", "list", "books").out == "Nothing is to be settled for books.\n"


def test_a_customer_that_is_there_already_is_asked_about(connected, vendor):
    vendor.sandbox.create_customer(DisplayName="Harbour Foods Ltd")
    run = connected("sync", "books", "--json", code=None).json
    cases = connected("match", "list", "books", "--json").json

    if run["status"] == "success":  # the names are not near enough to ask
        assert cases == []
        return
    connected("match", "create", cases[0]["id"])
    assert connected("sync", "books", "--json").json["status"] == "success"


@pytest.mark.parametrize("kind", ["clients", "invoices", "time_entries", "projects"])
def test_any_kind_of_record_can_be_exported(connected, tmp_path, kind):
    connected("export", kind, "out.json")
    connected("export", kind, "out.csv")

    records = json.loads((tmp_path / "out.json").read_text())
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [record["id"] for record in records]
    assert records


@pytest.mark.parametrize("formula", ["=1+1", "+1+1", "-1+1", "@SUM(A1)"])
def test_what_a_spreadsheet_would_run_is_exported_as_text(worked, tmp_path, formula):
    (tmp_path / "more.csv").write_text(
        "client,project,task,person,date,hours,external_id\n" + f"{formula},Website,Design,Ada,2026-10-05,1,9\n"
    )
    worked("import", "time", "more.csv", "--create")
    worked("export", "clients", "out.csv")

    names = [row["name"] for row in csv.DictReader((tmp_path / "out.csv").read_text().splitlines())]
    assert f"'{formula}" in names


def test_an_export_to_standard_output_holds_nothing_else(worked):
    assert json.loads(worked("export", "clients", "-", "--format", "json").out)[0]["name"] == "Harbour Foods"


def test_an_export_that_cannot_be_written_leaves_nothing(worked, tmp_path):
    answer = worked("export", "clients", "nowhere/out.csv", code=1)

    assert answer.err == "Error: nowhere/out.csv cannot be written: No such file or directory.\n"


def test_an_unknown_kind_is_named_with_those_there_are(worked):
    assert "There is no kind of record called “cats”. There is: clients, " in worked("export", "cats", "-", code=1).err


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(books, vendor):
    books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", "--read-only")

    shown = books("sync", "books", "--dry-run").out

    assert "create invoices to books: INV-00001" in shown
    assert "create clients to books" in shown
    assert "hub plan apply" in shown
    assert vendor.sandbox.effects() == []


def test_a_plan_is_applied_whole_or_in_part_and_shown_with_what_became_of_it(books, vendor):
    books("connection", "add", "quickbooks", "--name", "books", "--config", "books.json", "--read-only")
    plan = books("sync", "books", "--dry-run", "--json").json
    first = next(item for item in plan["items"] if item["kind"] == "invoices")
    assert "--go-live" in books("plan", "apply", plan["id"], code=1).err

    books("plan", "apply", plan["id"], "--only", first["label"], "--go-live")
    books("sync", "books", code=None)

    statuses = {item["label"]: item["status"] for item in books("plan", "show", plan["id"], "--json").json["items"]}
    assert statuses[first["label"]] == "created"
    assert sorted(status for label, status in statuses.items() if label.startswith("INV-")) == ["created", "planned"]

    books("plan", "apply", plan["id"])
    assert "nothing left to apply" in books("plan", "apply", plan["id"], code=1).err
    assert books("plan", "show", plan["id"]).out.splitlines()[-1].startswith("Nothing of it is left to apply. It was")
    assert "Nothing would change: books is in step." in books("sync", "books", "--dry-run").out


def test_the_guards_of_a_connection_are_set_beside_its_settings(connected):
    assert (
        "Changed guard_deletes, guard_updates of books."
        in connected("connection", "set", "books", "--guard-updates", "50", "--guard-deletes", "1").out
    )
    shown = connected("connection", "show", "books", "--json").json
    assert (shown["guard_updates"], shown["guard_deletes"]) == (50, 1)
    connected("connection", "set", "books", "--guard-updates", "101", code=2)


def test_a_plan_cannot_start_from_the_beginning(connected):
    assert "use --dry-run without --full" in connected("sync", "books", "--dry-run", "--full", code=2).err


def test_a_connection_goes_elsewhere_as_a_file_without_its_secrets(connected, vendor, tmp_path):
    connected("connection", "export", "books", "out.json")
    assert vendor.settings["client_secret"] not in (tmp_path / "out.json").read_text()
    assert "--set client_secret=" in connected("connection", "import", "out.json", "--name", "real", code=1).err

    company = {"country": "GB", "currency": "GBP", "realm_id": "9130359999999999"}
    with spec_of("quickbooks").create(**company).serve() as other:
        (tmp_path / "real.json").write_text(json.dumps(other.settings))
        there = ("connection", "import", "out.json", "--name", "real", "--config", "real.json")
        assert "real would be connected, and only reads." in connected(*there, "--dry-run").out
        assert connected(*there).out.endswith("real is connected, and only reads.\n")


def test_the_past_of_a_stream_is_read_from_a_day_on(connected):
    run = connected("sync", "books", "--stream", "payments", "--backfill-from", "2024-01-01", "--json").json
    assert (run["status"], run["connection"]) == ("success", "books")


@pytest.mark.parametrize(
    "more", [(), ("--stream", "payments", "--full"), ("--stream", "payments", "--stream", "invoices")]
)
def test_the_past_is_read_of_one_stream_and_alone(connected, more):
    assert "one --stream" in connected("sync", "books", "--backfill-from", "2024-01-01", *more, code=2).err
