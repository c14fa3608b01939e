from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from uuid import uuid4

import pytest


def start(*arguments, data_dir):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return subprocess.Popen(
        [sys.executable, "-m", "hub", *arguments],
        env={**environment, "HUB_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_hub_starts_serves_refuses_a_second_one_and_ends(tmp_path, short_dir):
    data_dir = short_dir / f"up-{os.getpid()}"
    address = f"127.0.0.1:{free_port()}"
    with start("up", "--bind", address, data_dir=data_dir) as up:
        assert up.stdout.readline().startswith(f"The hub is at http://{address} (Ctrl-C ends it).")
        with urllib.request.urlopen(f"http://{address}/readyz") as answer:
            assert json.load(answer)["status"] == "ready"

        with start("up", data_dir=data_dir) as second:
            out, err = second.communicate(timeout=60)
        assert (second.returncode, out) == (1, "")
        assert err.startswith(f"Error: A hub is running on {data_dir} already")

        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=60)
    assert up.returncode == 0


def test_a_stand_in_runs_on_its_own_and_says_how_to_connect_it(tmp_path):
    with start("sandbox", "quickbooks", "--country", "GB", "--currency", "GBP", "--json", data_dir=tmp_path) as sandbox:
        told = json.loads(sandbox.stdout.readline())
        with urllib.request.urlopen(f"{told['url']}/_control/") as answer:
            assert "pay_invoice" in answer.read().decode()
        sandbox.send_signal(signal.SIGTERM)
        sandbox.communicate(timeout=30)

    assert sandbox.returncode == 0
    assert told["settings"]["base_url"] == told["url"]
    assert not (tmp_path / "hub.sqlite3").exists()


def test_a_stand_in_keeps_its_state_in_a_file(tmp_path):
    arguments = ("sandbox", "quickbooks", "--state", str(tmp_path / "state.json"), "--json")
    with start(*arguments, data_dir=tmp_path) as sandbox:
        url = json.loads(sandbox.stdout.readline())["url"]
        call = urllib.request.Request(
            f"{url}/_control/create_customer", data=b'{"DisplayName": "Harbour Foods"}', method="POST"
        )
        urllib.request.urlopen(call).close()
        sandbox.send_signal(signal.SIGTERM)
        sandbox.communicate(timeout=30)

    assert "Harbour Foods" in (tmp_path / "state.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["netsuite"], "There is no stand-in for “netsuite”. There is: quickbooks, salesforce."),
        (["quickbooks", "--set", "nonsense=1"], "The stand-in of QuickBooks Online has no option “nonsense”."),
    ],
)
def test_a_stand_in_that_cannot_be_is_one_sentence(hub, arguments, sentence):
    assert sentence in hub("sandbox", *arguments, code=1).err


def test_a_doctor_finds_a_healthy_hub(firm, monkeypatch, queue_server):
    monkeypatch.setenv("HUB_REDIS_URL", queue_server)

    answer = firm("doctor", "--json").json

    assert answer["ok"] is True
    assert {sign["name"] for sign in answer["signs"]} >= {"disk", "database", "keys", "queue", "plugins", "parked"}


def test_a_misspelt_variable_is_in_the_log_and_found_by_the_doctor(firm, monkeypatch, queue_server):
    monkeypatch.setenv("HUB_REDIS_URL", queue_server)
    monkeypatch.setenv("HUB_BINT", "0.0.0.0:80")

    answer = firm("doctor", code=1)

    assert "MEND settings: nothing reads HUB_BINT. Use HUB_BIND." in answer.out
    assert '"variable": "HUB_BINT"' in (firm.data_dir / "log" / "hub.log").read_text()


def test_a_doctor_names_a_key_that_does_not_fit(firm, monkeypatch, queue_server):
    monkeypatch.setenv("HUB_REDIS_URL", queue_server)
    firm("plugin", "set", "quickbooks", "ROOM=1")
    (firm.data_dir / "secret.key").write_text("cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ=\n")

    answer = firm("doctor", code=1)

    assert "MEND keys: The stored credentials were encrypted with another key." in answer.out


def test_a_database_without_tables_says_what_to_do(hub, tmp_path):
    (tmp_path / "var").mkdir()
    elsewhere = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    (tmp_path / "other.sqlite3").write_bytes(b"")

    hub("--database-url", elsewhere, "company", "list")  # an empty file is a new database
    assert hub("--database-url", elsewhere, "db", "check").out == "The database is as it should be.\n"


def test_a_database_elsewhere_is_upgraded_only_when_asked(hub, postgres_server):
    url = postgres_server.create_database(f"t_{uuid4().hex[:12]}")

    answer = hub("--database-url", url, "company", "list", code=1)
    assert answer.err == "Error: The database has no tables yet. Run `hub db upgrade`.\n"
    assert hub("--database-url", url, "db", "check", code=1).out != ""

    assert hub("--database-url", url, "db", "upgrade").out == "The database is up to date.\n"
    assert hub("--database-url", url, "company", "list", "--json").json == []


def test_a_schema_that_is_behind_says_what_to_do(firm):
    with closing(sqlite3.connect(firm.data_dir / "hub.sqlite3")) as database:
        database.execute("ALTER TABLE company RENAME COLUMN payment_days TO days")
        database.execute("DELETE FROM alembic_version")
        database.commit()

    assert firm("company", "list", code=1).err == "Error: The schema is behind. Run `hub db upgrade`.\n"


def test_a_database_that_cannot_be_reached_is_one_sentence(hub):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://hub:s3cret@127.0.0.1:{unused.getsockname()[1]}/hub"

        answer = hub("--database-url", url, "company", "list", code=1)

    assert answer.err.startswith("Error: The database cannot be reached (")
    assert "Check HUB_DATABASE_URL" in answer.err
    assert "s3cret" not in answer.err + (hub.data_dir / "log" / "hub.log").read_text()


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--database-url", "mysql://x", "database"),
        ("--redis-url", "http://x", "Redis or Valkey server"),
        ("--config", "nowhere.toml", "nowhere.toml"),
    ],
)
def test_a_wrong_setting_of_the_hub_itself_is_one_sentence(hub, flag, value, sentence):
    answer = hub(flag, value, "company", "list", code=1)

    assert answer.err.startswith("Error: ")
    assert sentence in answer.err


def test_a_data_directory_that_cannot_be_made_is_one_sentence(hub, tmp_path):
    (tmp_path / "file").write_text("")

    answer = hub("--data-dir", str(tmp_path / "file" / "var"), "company", "list", code=1)

    assert answer.err.startswith("Error: ")
    assert "HUB_DATA_DIR" in answer.err


def test_first_commands_at_the_same_moment_all_work(tmp_path):
    commands = [
        start("company", "set", "--name", f"Firm {n}", "--country", "GB", "--currency", "GBP", data_dir=tmp_path)
        for n in range(3)
    ]
    until = time.monotonic() + 120
    for command in commands:
        out, err = command.communicate(timeout=max(1, until - time.monotonic()))
        assert (command.returncode, err) == (0, ""), out
