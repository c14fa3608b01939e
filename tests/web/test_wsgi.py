"""The application of the present generation of plugins, and plugins with an API and pages of their own."""

from __future__ import annotations

import types

import pytest
from marshmallow import Schema, fields
from werkzeug.test import Client

from hub.core.clients.models import Client as FirmClient
from hub.core.errors import NotFound
from hub.sdk import hookimpl
from hub.sdk.web import (
    NavigationEntry,
    Permission,
    answer,
    answer_page,
    api_blueprint,
    current_user,
    page_blueprint,
)
from hub.web.wsgi import HubApplication


class NoteOutput(Schema):
    id = fields.UUID()
    revision = fields.Integer()
    name = fields.String()


def plugin(strict=False):
    """A small plugin with an API on clients and one page."""
    notes = api_blueprint("notes", "Notes.", prefix="/notes", strict=strict)
    pages = page_blueprint("notes", __name__, prefix="/notes")

    @notes.get("", permission="notes.read", output=NoteOutput, paged=True)
    def list_notes():
        """Notes."""
        from sqlalchemy import select

        return answer_page(lambda session: select(FirmClient), view=lambda session, row: vars(row) | {"name": "noted"})

    def find(session, note_id):
        found = session.get(FirmClient, note_id)
        if found is None:
            raise NotFound("There is no such note.")
        return found

    @notes.post("/<uuid:note_id>/touch", permission="notes.read", output=NoteOutput)
    def touch_note(note_id):
        """Touch it."""

        def work(session):
            note = find(session, note_id)
            note.phone = current_user().role
            return note

        return answer(work, of=lambda session: find(session, note_id))

    @pages.get("/", permission="notes.read")
    def index():
        return "notes"

    module = types.ModuleType("notes")
    contributions = {
        "api_blueprints": lambda: [notes],
        "page_blueprints": lambda: [pages],
        "permissions": lambda: [Permission("notes.read", "See notes", ("admin",))],
        "navigation": lambda: [NavigationEntry("Notes", "notes.index", "note", "notes.read")],
    }
    for name, function in contributions.items():
        function.__name__ = name
        setattr(module, name, hookimpl(function))
    return module


@pytest.fixture
def hub(make_hub):
    return make_hub({"notes": plugin(strict=True)})


def test_a_plugins_routes_permissions_and_documents_stand_beside_the_cores(api, api_as, billable):
    assert api.get("/notes")[1]["data"] == [{"id": billable["client"], "revision": 1, "name": "noted"}]
    assert api_as("finance").get("/notes")[0] == 403
    document = api.get("/openapi.json")[1]
    assert "/api/v1/notes/{note_id}/touch" in document["paths"]


def test_a_strict_api_demands_a_key_and_the_state_that_was_seen(api, billable):
    path = f"/notes/{billable['client']}/touch"
    assert api.post(path)[1]["code"] == "idempotency-key-missing"
    assert api.post(path, Idempotency_Key="k")[1]["code"] == "precondition-required"
    assert api.post(path, Idempotency_Key="k", If_Match='"9"')[0] == 412
    assert api.post(path, Idempotency_Key="k", If_Match='"1"')[1]["revision"] == 2


@pytest.mark.parametrize(
    "broken",
    [lambda: [object()], lambda: 1 / 0, lambda: plugin().api_blueprints()],
    ids=["no blueprint", "fails", "a permission it does not define"],
)
def test_a_plugin_that_cannot_be_mounted_is_left_out_and_the_rest_goes_on(make_hub, hub, broken):
    broken.__name__ = "api_blueprints"
    module = types.ModuleType("bad")
    module.api_blueprints = hookimpl(broken)
    other = make_hub({"bad": module})
    client = Client(HubApplication(other))
    assert client.get("/api/v1/clients").status_code == 401
    assert client.get("/healthz").status_code == 200


def test_a_plugin_that_is_disabled_elsewhere_is_gone_from_the_next_request_on(make_hub, monkeypatch):
    """Another process changes what is enabled: this one sees the generation and serves another application."""
    here = make_hub({"notes": plugin()})
    client = Client(HubApplication(here))
    assert client.get("/notes/").status_code == 303  # to the sign-in: it is there
    assert client.get("/api/v1/notes").status_code == 401

    here.plugins._given = {}
    _raise_generation(here)

    assert client.get("/notes/").status_code == 404
    assert client.get("/api/v1/notes").status_code == 404
    assert client.get("/api/v1/clients").status_code == 401


def test_without_the_database_the_last_application_goes_on_and_says_what_is_wrong(hub, tmp_path):
    from sqlalchemy import create_engine

    served = Client(HubApplication(hub))
    hub.database.engine.dispose()
    hub.database.engine = create_engine(f"sqlite:///{tmp_path}/nowhere/hub.db")
    answer = served.get("/api/v1/clients", headers={"Authorization": "Bearer x"})
    assert answer.status_code in (401, 503)
    assert served.get("/healthz").status_code == 200
    hub.database.engine.dispose()


def _raise_generation(hub):
    from hub.plugin_host import Generation

    def work(session):
        generation = session.get(Generation, 1) or Generation(id=1, number=0)
        session.add(generation)
        generation.number = (generation.number or 0) + 1

    hub.transact(work)
