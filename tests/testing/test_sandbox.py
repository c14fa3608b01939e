from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
import requests

from hub.core.errors import SetupError
from hub.testing.sandbox import ActionRefused, Answer, Sandbox, action, from_json, json_response, route, to_json


class Shelf(Sandbox):
    """A vendor that keeps books on a shelf."""

    name = "shelf"

    def first_state(self):
        return {"books": list(self.options.get("books", ()))}

    def settings(self, url):
        return {"base_url": url}

    def admit(self, request, counts):
        if request.headers.get("Authorization") == "Bearer wrong":
            return json_response({"error": "who are you?"}, 401)
        return None

    @route("GET", "/books", counts="read")
    def list_books(self, request):
        return {"books": self.state["books"]}

    @route("POST", "/books", counts="write")
    def add_book(self, request):
        title = from_json(request.get_data())["title"]
        if title in self.state["books"]:
            raise Answer(json_response({"error": "twice"}, 409))
        self.state["books"].append(title)
        self.record("create", "book", str(len(self.state["books"])), key=request.args.get("key", ""))
        return json_response({"title": title}, 201)

    @action
    def lend(self, title: str):
        """Take a book away."""
        if title not in self.state["books"]:
            raise ActionRefused(f"There is no “{title}”.")
        self.state["books"].remove(title)
        self.record("lend", "book", title, actor="user")
        return {"lent": title}


@pytest.fixture
def server():
    with Shelf().serve() as server:
        yield server


def control(server, name, body=None):
    return requests.post(f"{server.url}/_control/{name}", json=body or {}, timeout=5)


def add(server, title, **keywords):
    return requests.post(f"{server.url}/books", json={"title": title}, timeout=5, **keywords)


def titles(server):
    return requests.get(f"{server.url}/books", timeout=5).json()["books"]


def test_answers_over_real_http(server):
    answer = add(server, "Emma")
    assert (answer.status_code, answer.json()) == (201, {"title": "Emma"})
    assert titles(server) == ["Emma"]


def test_the_ledger_names_every_applied_change(server):
    add(server, "Emma", params={"key": "k1"})
    add(server, "Emma", params={"key": "k2"})  # refused: not an effect
    control(server, "lend", {"title": "Emma"})
    seen = [(e.sequence, e.actor, e.operation, e.kind, e.id, e.key) for e in server.sandbox.effects()]
    assert seen == [(1, "api", "create", "book", "1", "k1"), (2, "user", "lend", "book", "Emma", "")]


def test_ledger_and_calls_are_served(server):
    add(server, "Emma")
    titles(server)
    answer = requests.get(f"{server.url}/_control/ledger", timeout=5).json()
    assert [effect["operation"] for effect in answer["effects"]] == ["create"]
    assert answer["calls"] == {"write": 1, "read": 1}


def test_effects_are_filtered(server):
    add(server, "Emma")
    control(server, "lend", {"title": "Emma"})
    assert [e.operation for e in server.sandbox.effects("create", "book")] == ["create"]
    assert [e.operation for e in server.sandbox.effects(actor="user")] == ["lend"]


def test_a_dropped_answer_leaves_the_effect(server):
    server.sandbox.add_fault(method="POST", path="/books", apply=True, close=True)
    with pytest.raises(requests.ConnectionError):
        add(server, "Emma")
    assert titles(server) == ["Emma"]
    assert len(server.sandbox.effects("create")) == 1


def test_a_connection_closed_before_applying_leaves_nothing(server):
    control(server, "faults", {"method": "POST", "path": "/books", "close": True})
    with pytest.raises(requests.ConnectionError):
        add(server, "Emma")
    assert titles(server) == []
    assert server.sandbox.calls() == {"write": 1, "read": 1}


@pytest.mark.parametrize("apply", [False, True])
def test_a_scripted_status_replaces_the_answer(server, apply):
    fault = {"path": "/bo*", "status": 503, "headers": {"Retry-After": "7"}, "body": "<h1>Busy</h1>", "apply": apply}
    control(server, "faults", fault)
    answer = add(server, "Emma")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "<h1>Busy</h1>", "7")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert titles(server) == (["Emma"] if apply else [])


def test_a_body_that_is_no_text_is_sent_as_json(server):
    server.sandbox.add_fault(status=500, body={"error": "down"})
    answer = add(server, "Emma")
    assert (answer.status_code, answer.json()) == (500, {"error": "down"})


def test_a_fault_hits_so_many_calls_after_so_many(server):
    server.sandbox.add_fault(method="GET", path="/books", skip=1, times=2, status=500)
    codes = [requests.get(f"{server.url}/books", timeout=5).status_code for _ in range(5)]
    assert codes == [200, 500, 500, 200, 200]


def test_a_delayed_call_is_applied_after_the_caller_gave_up(server):
    server.sandbox.add_fault(method="POST", delay_s=0.2)
    with pytest.raises(requests.Timeout):
        requests.post(f"{server.url}/books", json={"title": "Emma"}, timeout=0.05)
    while not server.sandbox.effects("create"):
        time.sleep(0.01)
    assert titles(server) == ["Emma"]


def test_what_is_no_fault_is_refused(server):
    answer = control(server, "faults", {"sattus": 500})
    assert answer.status_code == 422
    assert "status" in answer.json()["error"]


def test_admission_comes_before_the_handler(server):
    assert add(server, "Emma", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert server.sandbox.effects() == []


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/books", 405)])
def test_unknown_calls(server, method, path, status):
    assert requests.request(method, server.url + path, timeout=5).status_code == status


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("lend", {"title": "Persuasion"}, "There is no “Persuasion”."),
        ("lend", {"name": "Emma"}, "missing a required argument: 'title'"),
        ("burn", {}, "There is no POST 'burn'"),
        ("clock", {"advance_s": "soon"}, 'Say {"advance_s": seconds}.'),
    ],
)
def test_an_impossible_action_says_why(server, name, body, reason):
    answer = control(server, name, body)
    assert answer.status_code == 422
    assert reason in answer.json()["error"]


def test_a_control_body_that_is_not_json_is_refused(server):
    assert requests.post(f"{server.url}/_control/lend", data="{", timeout=5).status_code == 400


def test_the_actions_are_listed(server):
    actions = requests.get(f"{server.url}/_control/", timeout=5).json()["actions"]
    assert "Take a book away." in actions["lend"]


def test_the_control_surface_is_for_this_machine_only():
    answers = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/_control/state", "REMOTE_ADDR": "192.0.2.7"}
    environ |= {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    list(Shelf()(environ, lambda status, headers: answers.append(status)))
    assert answers == ["403 FORBIDDEN"]


def test_the_clock_goes_ahead(server):
    before = server.sandbox.now()
    control(server, "clock", {"advance_s": 3600})
    assert (server.sandbox.now() - before).total_seconds() >= 3600


def test_reset_goes_back_to_the_first_state():
    with Shelf(books=["Emma"]).serve() as server:
        add(server, "Persuasion")
        server.sandbox.add_fault(status=500)
        control(server, "reset")
        assert titles(server) == ["Emma"]
        assert server.sandbox.effects() == []


def test_the_state_survives_in_its_file(tmp_path):
    file = tmp_path / "shelf" / "state.json"
    with Shelf(state_file=file, books=["Emma"]).serve() as server:
        add(server, "Persuasion")
    again = Shelf(state_file=file)
    assert again.state == {"books": ["Emma", "Persuasion"]}
    assert [effect.id for effect in again.effects()] == ["2"]
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]


def test_the_state_is_in_the_file_before_the_answer_goes_out(tmp_path):
    file = tmp_path / "state.json"
    with Shelf(state_file=file).serve() as server:
        add(server, "Emma")
        assert json.loads(file.read_text())["state"] == {"books": ["Emma"]}


def test_a_broken_state_file_is_named(tmp_path):
    file = tmp_path / "state.json"
    file.write_text("{")
    with pytest.raises(SetupError, match=r"state\.json is not a sandbox's state file"):
        Shelf(state_file=file)


def test_a_port_that_is_taken_is_named(server):
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(SetupError, match=f"Port {port}"):
        Shelf().serve(port)


def test_a_stopped_server_frees_its_port():
    first = Shelf().serve()
    first.stop()
    port = int(first.url.rpartition(":")[2])
    with Shelf().serve(port) as second:
        assert titles(second) == []


def test_the_settings_point_at_the_server(server):
    assert server.settings == {"base_url": server.url}


@pytest.mark.parametrize("text", ["1861.08", "0.10", "100000000000000000.01", "-3.5"])
def test_numbers_in_json_keep_every_digit(text):
    written = to_json({"amount": Decimal(text), "text": "\0odd\\"})
    assert f'"amount": {text},' in written
    assert from_json(written) == {"amount": Decimal(text), "text": "\0odd\\"}
