"""Bronze: safe to install. What it is, and what it does before any record is in step."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parseaddr
from typing import Any
from unittest import mock

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hub import http
from hub.core.errors import ConfigurationFailure, ConnectorError, HubError, PluginFault, RuleBroken
from hub.plugin_host import DISTRIBUTION, check_implementations
from hub.redaction import _forms as forms_of
from hub.sync.connections import load_settings
from hub.sync.connector import Connector
from hub.sync.settings_schema import json_schema
from hub.testing.conformance.bench import Bench, Lab
from hub.testing.conformance.rules import Broken, NotShown, expect, failure_of, named, not_checked_yet, rule
from hub.testing.conformance.wire import (
    AWAY,
    BROKEN,
    EMPTY,
    ERROR_IN_200,
    FORBIDDEN,
    HTML,
    RESET,
    Trouble,
)

SECRET_LIKE = re.compile(r"secret|password|passphrase|token|private|api_?key", re.IGNORECASE)
HEADINGS = ("objects", "scopes", "limits", "delete", "conflict", "limitation", "removal")
MOST_TO_IMPORT_S = 0.5


@rule(
    "B01",
    "It says what it is: name, title, category, what it can do, owner, security contact, licence, hosts and docs.",
)
def says_what_it_is(lab: Lab) -> None:
    subject, connector = lab.subject, lab.subject.connector
    expect(re.fullmatch(r"[a-z][a-z0-9_]*", connector.name), f"its name is “{connector.name}”: use a-z, 0-9 and _")
    for label, text in (
        ("title", connector.title),
        ("category", connector.category),
        ("owner", subject.owner),
        ("licence", subject.licence),
    ):
        expect(text.strip(), f"it has no {label}")
    contact = subject.security_contact
    expect("@" in parseaddr(contact)[1] or contact.startswith("https://"), "its security contact is no address")
    expect({"pull", "push"} & subject.capabilities, "it neither reads nor sends anything")
    expect(subject.docs.is_file(), f"its docs {subject.docs.name} are not there")
    listed = subject.module.connectors()
    expect(connector in listed, f"the hook `connectors` of {subject.plugin} does not name {connector.__name__}")


@rule(
    "B02",
    "Importing it does nothing: no call, no database, no thread, no file written; and takes under 0.5 s of processor.",
    unwaivable=True,
)
def import_has_no_effect(lab: Lab) -> None:
    if not isinstance(lab.subject.plugin, str):
        raise NotShown("the plugin is given as a module that was imported already")
    done = subprocess.run(
        [sys.executable, "-B", "-c", _IMPORT, lab.subject.plugin],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    expect(done.returncode == 0, f"it cannot be imported: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    *deeds, seconds = done.stdout.strip().splitlines()
    expect(not deeds, f"its import does: {', '.join(deeds)}")
    expect(float(seconds) <= MOST_TO_IMPORT_S, f"its import takes {float(seconds):.2f} s of processor time")


_IMPORT = """
import importlib, sys, threading, time
import hub.sdk, hub.testing.sandbox_spec, sqlite3, socket
deeds, on = [], [False]
def hear(event, arguments):
    if not on[0]:
        return
    if event == "open":
        mode, flags = arguments[1], arguments[2] or 0
        writes = any(letter in (mode or "") for letter in "wax+") or (mode is None and flags & 3)
        if writes and "__pycache__" not in str(arguments[0]):
            deeds.append(f"write {arguments[0]}")
    elif event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system"):
        deeds.append(event)
sys.addaudithook(hear)
threading.Thread.start = lambda self: deeds.append("start a thread") if on[0] else None
on[0], began = True, time.process_time()
importlib.import_module(sys.argv[1])
on[0], took = False, time.process_time() - began
print(*deeds, took, sep="\\n")
"""


@rule("B03", "Every hook it implements exists, and takes only arguments that the hub passes.")
def hooks_exist(lab: Lab) -> None:
    try:
        found = check_implementations(lab.subject.module)
    except PluginFault as fault:
        raise Broken(str(fault)) from fault
    expect("connectors" in found, f"{lab.subject.plugin} does not implement the hook `connectors`")


@rule("B04", "Where it needs another version of the hub, it is refused with a reason, and the hub starts.")
def versions_are_named(lab: Lab) -> None:
    subject = lab.subject
    name = subject.distribution or _distribution_of(subject.module.__name__)
    if canonicalize_name(name) != DISTRIBUTION:  # what comes with the hub is for this very version
        wanted = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        of_hub = [each.specifier for each in wanted if canonicalize_name(each.name) == DISTRIBUTION]
        expect(of_hub, f"{name} does not require {DISTRIBUTION}, so nobody knows which versions of the hub it is for")
        bounds = {each.operator for specifier in of_hub for each in specifier}
        expect(
            bounds & {"<", "<=", "==", "~="}, f"{name} is for every later version of the hub: name the one it ends at"
        )
    with lab.bench() as bench, bench.switchable(requires=">9999") as plugin:
        failure = failure_of(lambda: bench.hub.plugins.enable(plugin, actor="system"))
        expect(isinstance(failure, RuleBroken) and ">9999" in str(failure), f"it is enabled all the same: {failure}")
        with bench.hub.read() as session:
            (state,) = [each for each in bench.hub.plugins.states(session) if each.name == plugin]
            told = (state.status, bool(state.reason), bench.hub.connector_classes())
        expect(told == ("incompatible", True, {}), f"for another version of the hub, it counts as {told}")


def _distribution_of(module: str) -> str:
    """Which distribution a module comes with; the hub's own, where that cannot be found out."""
    top = module.partition(".")[0]
    return next(iter(importlib.metadata.packages_distributions().get(top, ())), DISTRIBUTION)


@rule(
    "B05", "Its settings make a form: each has a title and a help text; what is secret is marked, and has no default."
)
def settings_make_a_form(lab: Lab) -> None:
    schema = json_schema(lab.subject.connector.settings)
    for name, field in lab.subject.connector.settings().fields.items():
        shown = schema["properties"][name]
        expect(shown.get("title"), f"the setting {name} has no title")
        expect(shown.get("description"), f"the setting {name} has no help text")
        secret = bool(field.metadata.get("secret"))
        tells = SECRET_LIKE.search(name) and shown.get("type") != "boolean" and not field.metadata.get("public")
        expect(secret or not tells, f"the setting {name} looks like a secret and is not marked as one")
        default = field.load_default
        has_default = isinstance(default, str) and default != ""
        expect(not (secret and has_default), f"the secret setting {name} has a default")


@rule("B06", "Right settings are taken, and each wrong one is refused under its own name.")
def settings_are_checked(lab: Lab) -> None:
    kind = lab.subject.connector
    expect(lab.subject.wrong_settings, "the author names no wrong setting")
    with lab.bench() as bench:
        load_settings(kind, bench.settings)
        for name, value in lab.subject.wrong_settings.items():
            try:
                load_settings(kind, {**bench.settings, name: value})
            except RuleBroken as refused:
                expect(name in refused.fields, f"a wrong {name} is blamed on {', '.join(refused.fields)}")
            else:
                raise Broken(f"{name}={value!r} is taken, though it is wrong")


@rule(
    "B07",
    "The test of a connection succeeds with right settings, tells what is wrong with wrong ones, never hangs, and "
    "writes nothing.",
    unwaivable=True,
)
def check_tells(lab: Lab) -> None:
    with lab.bench() as bench:
        result = bench.connector.check()
        expect(result.ok, f"with right settings it says: {[f.text for f in result.findings if not f.ok]}")
        wrong = {**bench.settings, **lab.subject.wrong_credentials}
        failure = failure_of(lambda: bench.connect("wrong", wrong))
        expect(isinstance(failure, ConfigurationFailure), f"wrong credentials end in {named(failure)}")
        missing_scope = lab.subject.answers.get("missing scope")
        troubles = [RESET, HTML, ERROR_IN_200, EMPTY, BROKEN, AWAY, FORBIDDEN]
        for trouble in [*troubles, *([missing_scope(bench.clock.now())] if missing_scope else [])]:
            failure = _checked_with(bench, trouble)
            expect(isinstance(failure, ConnectorError), f"{trouble.name}: the test ends in {named(failure)}")
        with _hurry():
            failure = _checked_with(bench, Trouble("no answer in time", delay_s=0.4, ending="reset"))
        expect(isinstance(failure, ConnectorError), f"no answer in time: the test ends in {named(failure)}")
        unknown = {name: _elsewhere(value, bench.server.url) for name, value in bench.settings.items()}
        failure = failure_of(lambda: bench.connect("nowhere", unknown))
        expect(isinstance(failure, ConnectorError), f"a host that is not known ends in {named(failure)}")
        expect(not bench.user.effects(), f"the test of the connection wrote: {bench.user.effects()}")


@contextmanager
def _hurry(seconds: float = 0.15) -> Iterator[None]:
    """Let every call give up after a moment, so that nobody waits a minute for a hang."""
    real = http.HttpClient.request

    def request(self: Any, method: str, url: str, **options: Any) -> Any:
        return real(self, method, url, **{**options, "timeout_s": seconds})

    with mock.patch.object(http.HttpClient, "request", request):
        yield


def _checked_with(bench: Bench, trouble: Trouble) -> Exception | None:
    """What a test of the connection ends in when everything it calls meets a trouble."""
    connector = bench.connector
    bench.wire.plan(trouble, times=1000)
    try:
        return failure_of(connector.check)
    finally:
        bench.wire.clear()


def _elsewhere(value: Any, url: str) -> Any:
    """An address on a host that does not exist; anything else as it is."""
    return value.replace(url, "https://no-such-host.invalid") if isinstance(value, str) else value


@rule("B08", "What goes wrong is told in a sentence that says what to do; never a traceback, never a secret.")
def failures_are_sentences(lab: Lab) -> None:
    with lab.bench() as bench:
        told = [str(failure_of(lambda: bench.connect("wrong", {**bench.settings, **lab.subject.wrong_credentials})))]
        _ = bench.connection
        told += [str(_checked_with(bench, trouble) or "") for trouble in (FORBIDDEN, HTML, ERROR_IN_200)]
        secrets = [*bench.secrets, *map(str, lab.subject.wrong_credentials.values())]
        for text in filter(None, told):
            expect("Traceback" not in text and "object at 0x" not in text, f"it shows its inside: {text[:120]}")
            expect(text[:1].isupper() or text[:1].isdigit() or ":" in text[:60], f"it is no sentence: {text[:120]}")
            expect(len(text) >= 20 and " " in text, f"it says too little: “{text}”")
            expect(not any(form in text for secret in secrets for form in forms_of(secret)), "it shows a secret")
        remedy = _sentences(told[0])
        expect(remedy >= 2, f"for wrong credentials it does not say what to do: “{told[0]}”")


def _sentences(text: str) -> int:
    return len([part for part in re.split(r"[.;:!?](?:\s|$)", text) if part.strip()])


@rule("B09", "The test names the account over there, and one account is connected once.")
def account_is_named(lab: Lab) -> None:
    with lab.bench() as bench:
        result = bench.connector.check()
        expect(result.account_id and result.account_name, "the test names no account id or no account name")
        expect(result.environment in ("production", "sandbox"), f"the environment is “{result.environment}”")
        expect(result.account_id == bench.connector.check().account_id, "a second test names another account")
        failure = failure_of(lambda: bench.connect("again"))
        expect(isinstance(failure, RuleBroken), "the same account can be connected twice")


@rule(
    "B10",
    "Its streams are declared so that the engine can rely on them: known kinds, parents first, ways back.",
    lacks="custom fields and choices",
)
def streams_are_declared(lab: Lab) -> None:
    kind = lab.subject.connector
    names = [stream.kind for stream in kind.streams]
    expect(len(names) == len(set(names)), "a stream is declared twice")
    with lab.bench() as bench:
        with bench.hub.read():
            known = bench.hub.kinds
        for stream in kind.streams:
            name = stream.kind
            expect(name in known, f"the hub knows no records called {name}")
            expect(stream.title and (stream.pulls or stream.pushes), f"{name} has no title, or no direction")
            if stream.pulls:
                overridden = kind.pull is not Connector.pull and kind.fetch is not Connector.fetch
                expect(overridden, f"{name} is read, which needs `pull` and `fetch`")
                expect(stream.lookback_s > 0, f"{name} does not look back: what becomes visible late would be missed")
            if stream.pushes:
                expect(kind.push is not Connector.push, f"{name} is sent, which needs `push`")
                expect(stream.batch_size >= 1, f"{name} is sent in batches of {stream.batch_size}")
                expect(not stream.keyed or stream.key_life_s > 0, f"{name} has keys, but not for how long they live")
                found = stream.keyed or kind.find is not Connector.find
                expect(found, f"{name} has neither keys nor `find`: a lost answer could never be cleared up")
            if stream.find_first:
                expect(kind.find is not Connector.find, f"{name} is looked for first, which needs `find`")
        order = {name: place for place, name in enumerate(names)}
        for name in lab.subject.pushed:
            for ref in _needs(bench, name):
                expect(ref in order, f"{name} needs {ref}, which is no stream of the connector")
                expect(order[ref] < order[name], f"{name} needs {ref}, which is declared after it")


def _needs(bench: Bench, stream: str) -> set[str]:
    try:
        record_id = bench.firm.make(stream)
    except NotShown:
        return set()
    with bench.hub.read() as session:
        (record,) = bench.hub.kinds[stream].load(session, [record_id])
    return {ref.kind for ref in bench.connector.needs(stream, record)}


not_checked_yet(
    "B16", "Its tables, routes, permissions and commands bear its prefix, and every route a permission.", needs="pages"
)
not_checked_yet(
    "B17",
    "Its migrations run from nothing and from the last release to now, and back, and leave nothing.",
    needs="tables",
)


@rule("B18", "While it is disabled nothing of it runs; enabled again it goes on where it was.")
def disabled_it_rests(lab: Lab) -> None:
    with lab.bench() as bench, bench.switchable() as name:
        threads = set(threading.enumerate())
        for stream in lab.subject.pulled:
            bench.seed(stream, 3)
        for stream in bench.sendable:
            bench.firm.make(stream)
        bench.run()
        bench.push_until_done()
        cursors = {stream: bench.cursor(stream) for stream in lab.subject.pulled}

        bench.hub.plugins.disable(name, actor="system")
        left = [thread.name for thread in set(threading.enumerate()) - threads if not _is_ours(thread)]
        expect(not left, f"disabled, it leaves threads behind: {', '.join(sorted(left))}")
        for stream in bench.sendable:
            bench.firm.make(stream)
        calls = len(bench.wire.sent)
        for work in (bench.run, bench.another_worker):
            failure = failure_of(work)
            expect(failure is None or isinstance(failure, HubError), f"disabled, a run ends in {named(failure)}")
        expect(len(bench.wire.sent) == calls, "disabled, it is called all the same")

        bench.hub.plugins.enable(name, actor="system")
        kept = {stream: bench.cursor(stream) for stream in lab.subject.pulled}
        expect(kept == cursors, "enabled again, it has lost its cursors")
        effects = len(bench.user.effects(operation="create"))
        bench.push_until_done()
        expect(not any(link.is_owed for link in bench.links()), "enabled again, it does not send what is owed")
        made = [effect.id for effect in bench.user.effects(operation="create")[effects:]]
        known = {link.remote_id for link in bench.links()}
        expect(set(made) <= known and len(made) == len(set(made)), "enabled again, it makes things twice")


def _is_ours(thread: threading.Thread) -> bool:
    """The sandbox answers each connection on a thread; the hub keeps leases alive on one."""
    return thread.name == "heartbeat" or "process_request_thread" in thread.name


@rule("B19", "Its docs say: objects and directions, scopes, limits, deletes, conflicts, known limitations, removal.")
def docs_are_complete(lab: Lab) -> None:
    text = lab.subject.docs.read_text("utf-8")
    headings = " | ".join(re.findall(r"^#+ (.+)$", text, re.MULTILINE)).lower()
    missing = [word for word in HEADINGS if word not in headings]
    expect(not missing, f"{lab.subject.docs.name} has no heading about: {', '.join(missing)}")


not_checked_yet("B20", "Its tests reach every branch of its settings, test and sign-in code, and 80 % of the rest.")
