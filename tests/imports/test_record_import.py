"""Clients, projects and people come in from CSV files; who is here already is left alone."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from hub.core.clients.models import Client
from hub.core.errors import NotFound, RuleBroken
from hub.core.people.models import Person
from hub.core.projects.models import Project
from hub.imports.record_import import import_records


@pytest.fixture
def bring_in(hub, tmp_path):
    def bring_in(kind, *lines, **given):
        return import_records(hub, kind, io.BytesIO("\n".join(lines).encode()), faults_folder=tmp_path, **given)

    return bring_in


def outcome(summary):
    return (summary.rows, summary.created, summary.unchanged, summary.rejected)


def test_clients_come_in_once(bring_in, rows):
    lines = [
        "Kunde;Straße;PLZ;Ort;Land;Währung;USt-IdNr;Steuerbefreit",
        "Müller GmbH;Hauptstr. 1;10115;Berlin;de;EUR;DE 123 456 788;nein",
        "Müller;;;;;;;",
    ]
    assert outcome(bring_in("clients", *lines)) == (2, 1, 1, 0)  # without the legal form the two are one
    assert outcome(bring_in("clients", *lines)) == (2, 0, 2, 0)
    [client] = rows(select(Client))
    assert (client.name, client.street, client.postcode, client.city) == (
        "Müller GmbH",
        "Hauptstr. 1",
        "10115",
        "Berlin",
    )
    assert (client.country, client.currency, client.tax_id, client.tax_exempt) == ("DE", "EUR", "DE123456788", False)


def test_projects_come_in_at_their_client(bring_in, rows):
    bring_in("clients", "name", "Acme")
    lines = ["client,name,code,starts_on,budget,currency", 'acme,Web,W1,31/03/2026,"12,500.00",EUR', "Bolt,App,,,,"]
    summary = bring_in("projects", *lines)
    assert outcome(summary) == (2, 1, 0, 1)
    assert str(summary.faults[0]) == (
        "line 3, client: “Bolt” is no client here; create it first, or import with --create"
    )
    [project] = rows(select(Project))
    assert (project.name, project.code, project.starts_on) == ("Web", "W1", date(2026, 3, 31))
    assert (project.budget, project.currency) == (Decimal(12500), "EUR")
    assert outcome(bring_in("projects", *lines, create=True)) == (2, 1, 1, 0)


def test_people_are_told_apart_by_number(bring_in, count):
    lines = ["name,email,external_id", "Ada King,ada@firm.example,1", "Ada King,,2", "ada king,,", "Grace,,1"]
    summary = bring_in("people", *lines)
    assert outcome(summary) == (4, 2, 1, 1)
    assert str(summary.faults[0]) == "line 4, name: “ada king” is the name of 2 people; rename all but one"
    assert outcome(bring_in("people", *lines)) == (4, 0, 3, 1)
    assert count(Person) == 2


@pytest.mark.parametrize(
    ("kind", "lines", "fault"),
    [
        (
            "clients",
            ["name,country", "Cord,Germany"],
            "line 2, country: “Germany” cannot be imported: “Germany” is not a",
        ),
        (
            "clients",
            ["name,currency", "Acme,EURO"],
            "line 2, currency: “EURO” is no ISO 4217 currency code such as EUR",
        ),
        ("clients", ["name,city", ",Berlin"], "line 2, name: is empty"),
        (
            "projects",
            ["client,name,status", "Acme,Web,lost"],
            "line 2, status: “lost” cannot be imported: “lost” is no",
        ),
        (
            "projects",
            ["client,name,ends_on", "Acme,Web,soon"],
            "line 2, ends_on: “soon” is no day; write it as YYYY-MM-DD",
        ),
    ],
)
def test_a_row_with_a_wrong_value_is_named_and_the_others_come_in(bring_in, kind, lines, fault):
    bring_in("clients", "name", "Acme")
    good = {"clients": "Bolt,", "projects": "Acme,App,"}[kind]
    summary = bring_in(kind, *lines, good)
    assert outcome(summary) == (2, 1, 0, 1)
    assert str(summary.faults[0]).startswith(fault)
    assert summary.faults_file.exists()


def test_a_dry_run_writes_nothing(bring_in, count):
    assert outcome(bring_in("clients", "name", "Acme", "acme", dry_run=True)) == (2, 1, 1, 0)
    assert count(Client) == 0


def test_columns_of_another_layout_are_mapped(bring_in, rows):
    bring_in("clients", "Account Name,Town", "Acme,Berlin", mapping={"name": "Account Name", "city": "Town"})
    assert [(client.name, client.city) for client in rows(select(Client))] == [("Acme", "Berlin")]


def test_what_cannot_be_imported_is_refused(bring_in):
    with pytest.raises(NotFound, match=r"“robots” cannot be imported\. Use one of: clients, projects, people, time\."):
        bring_in("robots", "name")
    with pytest.raises(RuleBroken, match=r"The columns \(Town\) fit no known layout \(clients\)"):
        bring_in("clients", "Town", "Berlin")
