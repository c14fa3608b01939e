from __future__ import annotations

import json

import pytest

A_FIRM = ("--name", "A", "--country", "GB", "--currency", "GBP")


def test_the_very_first_command_makes_the_data_directory_and_the_tables(hub):
    answer = hub("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP")

    assert answer.out == "SiP Ltd: GB, GBP, Europe/London.\n"
    assert answer.err == ""
    assert (hub.data_dir / "hub.sqlite3").stat().st_size > 0


def test_help_is_given_whatever_the_database_is_like(hub):
    hub.data_dir.mkdir(parents=True)
    (hub.data_dir / "hub.sqlite3").write_bytes(b"not a database at all, but long enough to be read as one" * 50)

    assert "Commands:" in hub("--help").out


def test_setting_a_company_again_changes_only_what_is_given(hub):
    hub("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP", "--tax-rate", "20")
    hub("company", "set", "--name", "SiP Ltd", "--payment-days", "14")

    (company,) = hub("company", "list", "--json").json
    assert (company["country"], company["tax_rate"], company["payment_days"]) == ("GB", "20", 14)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--name", "A", "--country", "GB"], 1, "“A” is a new company: say its country and its currency."),
        (["--name", "A", "--country", "Narnia", "--currency", "GBP"], 1, "“Narnia” is not a country."),
        (["--name", "A", "--country", "GB", "--currency", "Pound"], 1, "“Pound” is not a currency."),
        (
            ["--name", "A", "--country", "GB", "--currency", "GBP", "--time-zone", "Mars"],
            1,
            "“Mars” is not a time zone.",
        ),
        ([*A_FIRM, "--tax-rate", "x"], 2, "“x” is not a number"),
        (["--country", "GB"], 2, "Missing option '--name'"),
    ],
)
def test_a_company_that_cannot_be_is_refused_in_one_sentence(hub, arguments, code, sentence):
    answer = hub("company", "set", *arguments, code=code)

    assert sentence in answer.err
    assert answer.out == ""
    assert hub("company", "list", "--json").json == []


def test_two_default_rates_for_the_same_days_are_refused(firm):
    answer = firm("rate", "add", "--rate", "90", "--currency", "GBP", code=1)

    assert "A rate of 80 GBP from 1900-01-01 is for the same work" in answer.err
    assert len(firm("rate", "list", "--json").json) == 1


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        ("80.0000001", "“80.0000001” has too many decimals; write at most 6"),
        ("1e12", "“1e12” is too large; write a number below 1,000,000,000,000"),
    ],
)
def test_a_number_that_cannot_be_stored_is_refused(firm, rate, sentence):
    assert sentence in firm("rate", "add", "--rate", rate, "--currency", "EUR", code=2).err


def test_a_rate_is_ended_and_replaced_by_its_id(firm):
    (old,) = firm("rate", "list", "--json").json

    replaced = firm("rate", "replace", old["id"], "--rate", "85.00", "--from", "2026-07-01")
    assert replaced.out == "85.00 GBP an hour from 2026-07-01.\n"
    ended = firm("rate", "end", old["id"], "--to", "2026-05-31")
    assert ended.out == "80.00 GBP an hour from 1900-01-01 to 2026-05-31.\n"
    assert [card["valid_to"] for card in firm("rate", "list", "--json").json] == ["2026-05-31", None]


def test_a_rate_for_a_client_nobody_knows_names_one_that_is_spelled_alike(worked):
    answer = worked("rate", "add", "--rate", "90", "--currency", "GBP", "--client", "Harbor Foods", code=1)

    assert answer.err == "Error: There is no client called “Harbor Foods”. Did you mean “Harbour Foods”?\n"


def test_a_rate_for_a_client_is_shown_with_the_client(worked):
    added = worked("rate", "add", "--rate", "95.5", "--currency", "GBP", "--client", "Harbour Foods", "--json").json

    assert added["rate"] == "95.5"
    assert added["client_id"] is not None


def test_a_table_for_programs_without_json_has_tabs_and_no_colour(firm):
    lines = firm("company", "list").out.splitlines()

    assert lines[0].split("\t")[:3] == ["name", "country", "currency"]
    assert lines[1].split("\t")[:3] == ["SiP Ltd", "GB", "GBP"]
    assert "\x1b" not in lines[1]


def test_an_unknown_command_is_wrong_usage(hub):
    answer = hub("compny", code=2)

    assert "No such command 'compny'" in answer.err


def test_help_lists_the_commands_and_makes_no_data_directory(hub):
    answer = hub("--help")

    assert "company" in answer.out
    assert "reconcile" in answer.out
    assert not hub.data_dir.exists()


def test_every_command_of_the_table_exists_and_has_help(hub):
    from hub.cli.lazy import COMMANDS

    for name in COMMANDS:
        assert hub(name, "--help").out.startswith("Usage: ")


def test_what_goes_wrong_is_in_the_log_with_its_traceback(hub):
    hub("company", "set", "--name", "A", "--country", "Narnia", "--currency", "GBP", code=1)

    entry = json.loads((hub.data_dir / "log" / "hub.log").read_text().splitlines()[-1])
    assert entry["event"] == "command failed"
    assert "Traceback" in entry["exception"]
