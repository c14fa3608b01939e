"""What a call comes to, against real servers on loopback that behave badly in every way a vendor's might."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import structlog

from hub.core.errors import Busy, ConfigurationFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from hub.http import HttpClient, failure_for


class Vendor(BaseHTTPRequestHandler):
    """What it does depends on the path; `seen` keeps each request as (method, path, headers, body)."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def handle_call(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        getattr(self, self.path.partition("?")[0].strip("/").replace("-", "_"))()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_call

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def hello(self) -> None:
        self.answer(200, b'{"total": 10.10}', Content_Type="application/json")

    def zipped(self) -> None:
        self.answer(200, gzip.compress(b"a" * 1000), Content_Encoding="gzip")

    def in_pieces(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n")

    def hangs_up(self) -> None:
        self.close_connection = True

    def half_an_answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"the first half")
        self.close_connection = True

    def half_a_piece(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ff\r\nnot 255 bytes")
        self.close_connection = True

    def says_nothing(self) -> None:
        self.server.patience.wait(20)

    def drips(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.patience.wait(0.02):
            try:
                self.wfile.write(b".")
            except OSError:
                return

    def huge(self) -> None:
        self.answer(200, b"x" * 20_000)

    def moved(self) -> None:
        self.answer(302, b"", Location="https://elsewhere.example/login")

    def throttles(self) -> None:
        self.answer(429, b"", Retry_After="7")

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Vendor)
        self.seen = []
        self.patience = threading.Event()  # set when the test is over, so that no handler outlives it
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.patience.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient()
    yield client
    client.close()


@contextmanager
def closing_listener(*, before: bytes = b"") -> Iterator[str]:
    """Accepts one connection and closes it at once, without an HTTP answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_once() -> None:
            connection, _ = listener.accept()
            connection.sendall(before)
            connection.close()

        thread = threading.Thread(target=accept_once)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def unused_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


# What is sent and what comes back ------------------------------------------------------------------------------------


def test_an_answer_is_whole_when_the_call_returns(server, client):
    response = client.get(f"{server.url}/hello", params={"page": 2})
    assert response.status_code == 200
    assert response.json(parse_float=Decimal) == {"total": Decimal("10.10")}
    assert server.seen[0][:2] == ("GET", "/hello?page=2")


@pytest.mark.parametrize(("path", "body"), [("zipped", b"a" * 1000), ("in-pieces", b"firstlast")])
def test_an_answer_may_be_zipped_or_in_pieces(server, client, path, body):
    assert client.get(f"{server.url}/{path}").content == body


def test_decimals_are_sent_as_the_numbers_they_are(server, client):
    client.post(f"{server.url}/hello", json={"amount": Decimal("1234567890123456.10"), "name": "Münster"})
    method, _, headers, body = server.seen[0]
    assert (method, headers["Content-Type"]) == ("POST", "application/json")
    assert body.decode() == '{"amount":1234567890123456.10,"name":"Münster"}'
    assert json.loads(body, parse_float=Decimal)["amount"] == Decimal("1234567890123456.10")


def test_a_float_is_refused_before_anything_is_sent(server, client):
    with pytest.raises(TypeError, match=r"not exact at lines\[0\]\.amount"):
        client.post(f"{server.url}/hello", json={"lines": [{"amount": 0.1}]})
    assert server.seen == []


def test_a_form_and_headers_are_sent_as_given(server, client):
    client.post(f"{server.url}/hello", data={"grant_type": "refresh_token"}, headers={"Authorization": "Basic eA=="})
    assert server.seen[0][3] == b"grant_type=refresh_token"
    assert server.seen[0][2]["Authorization"] == "Basic eA=="


def test_connections_are_used_again(server, client):
    for _ in range(3):
        client.get(f"{server.url}/hello")
    assert len(server.seen) == 3


# What goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["hangs-up", "half-an-answer", "half-a-piece"])
def test_a_write_without_a_complete_answer_may_have_happened(server, client, path):
    with pytest.raises(OutcomeUnknown, match="may have done what was asked"):
        client.post(f"{server.url}/{path}", json={})
    assert [call[1] for call in server.seen] == [f"/{path}"]  # it got there, and was not sent twice


@pytest.mark.parametrize("path", ["hangs-up", "half-an-answer", "half-a-piece"])
def test_a_read_without_a_complete_answer_can_be_made_again(server, client, path):
    with pytest.raises(TemporaryFailure, match="the connection broke"):
        client.get(f"{server.url}/{path}")
    assert len(server.seen) == 1


@pytest.mark.parametrize(("method", "error"), [("GET", TemporaryFailure), ("DELETE", OutcomeUnknown)])
@pytest.mark.parametrize("path", ["says-nothing", "drips"])
def test_a_call_ends_with_its_time(server, client, method, error, path):
    with pytest.raises(error, match=r"time-out after 0\.2 s"):
        client.request(method, f"{server.url}/{path}", timeout_s=0.2)


def test_a_write_that_found_no_one_has_not_happened(client):
    with pytest.raises(TemporaryFailure, match=r"127\.0\.0\.1 cannot be reached: it accepts no connection"):
        client.post(f"http://{unused_address()}/invoice", json={})


def test_a_write_that_failed_in_the_tls_handshake_has_not_happened(client):
    with (
        closing_listener(before=b"HTTP/1.1 400 this is no TLS\r\n\r\n") as address,
        pytest.raises(TemporaryFailure, match="cannot be reached"),
    ):
        client.post(f"https://{address}/invoice", json={})


def test_a_connection_closed_before_the_answer_may_have_carried_the_write(client):
    with closing_listener() as address, pytest.raises(OutcomeUnknown):
        client.post(f"http://{address}/invoice", json={})


def test_a_name_that_nobody_knows(client, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TemporaryFailure, match=r"api\.invalid cannot be reached: its name is not known"):
        client.post("https://api.invalid/invoice", json={})


@pytest.mark.parametrize(("method", "error"), [("GET", PermanentFailure), ("POST", OutcomeUnknown)])
def test_an_answer_that_is_too_large_is_not_taken(server, method, error):
    client = HttpClient(max_answer_bytes=10_000)
    with pytest.raises(error, match="more than 10,000 bytes"):
        client.request(method, f"{server.url}/huge")
    client.close()


def test_a_redirect_is_not_followed(server, client):
    response = client.get(f"{server.url}/moved", headers={"Authorization": "Bearer secret-token"})
    assert response.status_code == 302
    assert len(server.seen) == 1
    failure = failure_for(response, write=False)
    assert isinstance(failure, ConfigurationFailure)
    assert "elsewhere.example" in str(failure)


# Where it may go -----------------------------------------------------------------------------------------------------


def leads_to(monkeypatch, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answer = [(family, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "this machine"),  # a name is never loopback, whatever it resolves to
        ("::1", "this machine"),
        ("::ffff:127.0.0.1", "this machine"),
        ("64:ff9b::7f00:1", "this machine"),
        ("169.254.169.254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("fe80::1", "no host's own"),
        ("0.0.0.0", "no host's own"),
        ("224.0.0.1", "no host's own"),
        ("10.0.0.5", "private network"),
        ("192.168.1.1", "private network"),
        ("100.64.0.1", "private network"),
        ("fd00::1", "private network"),
    ],
)
def test_a_name_that_leads_inside_is_not_called(client, monkeypatch, address, reason):
    leads_to(monkeypatch, address)
    with pytest.raises(ConfigurationFailure, match=rf"hooks\.example leads to .*{reason}"):
        client.post("https://hooks.example/in", json={})


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "fe80::1"])
def test_even_a_private_host_is_neither_this_machine_nor_metadata(monkeypatch, address):
    leads_to(monkeypatch, address)
    with pytest.raises(ConfigurationFailure, match="does not call it"):
        HttpClient(allow_private=True).get("https://erp.internal/")


def test_settings_of_a_connector_may_name_a_private_host(monkeypatch):
    tried = []
    leads_to(monkeypatch, "10.0.0.5")

    def refuse(address, *args, **kwargs):
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("hub.checked_connections.create_connection", refuse)
    with pytest.raises(TemporaryFailure):
        HttpClient(allow_private=True).get("https://erp.internal/")
    assert tried == [("10.0.0.5", 443)]  # the address that was checked, not the name once more


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example.com/", "http://"),
        ("http://10.0.0.5/", "http://"),
        ("ftp://api.example.com/", "https://"),
        ("api.example.com", "https://"),
        ("https://", "https://"),
        ("https://[::1/", "malformed"),
        ("https://api.example.com:port/", "malformed"),
    ],
)
def test_an_address_must_be_https_unless_it_is_loopback(client, url, reason):
    with pytest.raises(ConfigurationFailure, match=reason):
        client.get(url)


def test_outgoing_webhooks_do_not_reach_this_machine(server):
    with pytest.raises(ConfigurationFailure, match="this machine"):
        HttpClient(allow_loopback=False).post(f"{server.url}/hello", json={})
    assert server.seen == []


# Limits, traces, secrets ---------------------------------------------------------------------------------------------


class Budget:
    """Writes down how it was used."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.refuse = refuse
        self.events = []

    @contextmanager
    def slot(self, classes, timeout_s):
        if self.refuse:
            raise TemporaryFailure("The limit of calls is reached.", retry_after_s=30)
        self.events.append(("taken", *classes))
        try:
            yield
        finally:
            self.events.append(("given back", *classes))

    def penalise(self, classes, seconds):
        self.events.append(("penalise", tuple(classes), seconds))


def test_every_call_takes_its_turn_and_gives_it_back(server):
    budget = Budget()
    client = HttpClient(limiter=budget)
    client.get(f"{server.url}/hello", limits=("calls",))
    with pytest.raises(OutcomeUnknown):
        client.post(f"{server.url}/hangs-up", limits=("calls", "batches"))
    assert budget.events == [
        ("taken", "calls"),
        ("given back", "calls"),
        ("taken", "calls", "batches"),
        ("given back", "calls", "batches"),
    ]
    assert client.calls == 2
    client.close()


def test_without_a_turn_nothing_is_sent(server):
    client = HttpClient(limiter=Budget(refuse=True))
    with pytest.raises(TemporaryFailure, match="limit of calls"):
        client.post(f"{server.url}/hello", limits=("calls",))
    assert server.seen == []


def test_what_the_vendor_asks_to_wait_is_kept_by_all(server):
    budget = Budget()
    client = HttpClient(limiter=budget)
    assert client.get(f"{server.url}/throttles", limits=("calls",)).status_code == 429
    assert budget.events[-1] == ("penalise", ("calls",), 7.0)
    client.close()


def test_a_pause_holds_for_every_class_unless_it_is_named():
    budget = Budget()
    client = HttpClient(limiter=budget)
    client.pause(60)
    client.pause(5, ("batches",))
    assert budget.events == [("penalise", (), 60), ("penalise", ("batches",), 5)]
    client.close()


def test_each_call_is_traced(server):
    calls = []
    client = HttpClient(trace=calls.append)
    client.post(f"{server.url}/hello", json={"n": 1})
    with pytest.raises(TemporaryFailure):
        client.get(f"{server.url}/hangs-up")
    answered, failed = calls
    assert (answered.method, answered.status, answered.sent_bytes, answered.received_bytes) == ("POST", 200, 7, 16)
    assert (failed.method, failed.status) == ("GET", None)
    assert "the connection broke" in failed.failure
    client.close()


SECRET = "pässword/with+signs"


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        requests.utils.quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"client:" + SECRET.encode()).decode(),
        base64.b64encode(b"client-a:" + SECRET.encode() + b"\n").decode(),
        base64.urlsafe_b64encode(b"client-ab:" + SECRET.encode()).decode(),
    ],
    ids=["raw", "url-encoded", "base64", "base64 after 7 bytes", "base64 after 9 bytes", "base64 after 10 bytes"],
)
def test_a_secret_is_in_no_log_and_no_trace(server, shown):
    calls = []
    client = HttpClient(secrets=[SECRET], trace=calls.append)
    with structlog.testing.capture_logs() as logs:
        client.get(f"{server.url}/hello", params={"note": shown})
    everything = f"{logs} {calls}"
    core = base64.b64encode(SECRET.encode()).decode()[4:-4]
    for form in (SECRET, requests.utils.quote(SECRET, safe=""), requests.utils.quote(shown, safe=""), core):
        assert form not in everything
    assert "/hello?note=" in everything
    client.close()


def test_tokens_of_the_call_itself_are_not_shown_either(server):
    calls = []
    client = HttpClient(trace=calls.append)
    client.get(
        f"{server.url}/hello",
        params={"access_token": "abc", "echo": "token-of-this-call", "page": 1},
        headers={"Authorization": "Bearer token-of-this-call"},
    )
    assert calls[0].url == f"{server.url}/hello?access_token=•••&echo=•••&page=1"
    client.close()


# What a status means -------------------------------------------------------------------------------------------------


def answer_of(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response.request = requests.Request("GET", "https://api.example.com/").prepare()
    return response


@pytest.mark.parametrize(
    ("status", "to_a_write", "to_a_read"),
    [
        (200, None, None),
        (304, None, None),
        (307, ConfigurationFailure, ConfigurationFailure),
        (400, None, None),
        (401, None, None),
        (408, TemporaryFailure, TemporaryFailure),
        (425, Busy, Busy),
        (429, Busy, Busy),
        (500, OutcomeUnknown, TemporaryFailure),
        (502, OutcomeUnknown, TemporaryFailure),
        (503, OutcomeUnknown, TemporaryFailure),
        (504, OutcomeUnknown, TemporaryFailure),
    ],
)
def test_statuses_that_mean_the_same_everywhere(status, to_a_write, to_a_read):
    response = answer_of(status)
    assert type(failure_for(response, write=True)) is (to_a_write or type(None))
    assert type(failure_for(response, write=False)) is (to_a_read or type(None))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry_After": "120"}, 120.0),
        # 90 s by their clock, whatever ours says
        ({"Retry_After": "Fri, 02 Jan 2026 10:01:30 GMT", "Date": "Fri, 02 Jan 2026 10:00:00 GMT"}, 90.0),
        ({"Retry_After": "Fri, 02 Jan 2026 09:00:00 GMT", "Date": "Fri, 02 Jan 2026 10:00:00 GMT"}, 0.0),
        ({"Retry_After": "soon"}, None),
    ],
)
def test_how_long_the_vendor_asks_to_wait(headers, seconds):
    failure = failure_for(answer_of(429, **headers), write=True)
    assert isinstance(failure, TemporaryFailure)
    assert failure.retry_after_s == seconds
