"""The reference connector with one thing done wrong each: what a rule is there to find."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import random
from types import SimpleNamespace
from uuid import uuid4

import requests
from marshmallow import fields

from hub.core.errors import ConnectorError
from hub.sdk import (
    Busy,
    Change,
    Outcome,
    Page,
    PermanentFailure,
    QuotaSpent,
    Ref,
    Status,
    TemporaryFailure,
    hookimpl,
)
from hub.testing.reference.conformance import subject
from hub.testing.reference.connector import Notebook, NotebookSettings, _stamp

SABOTAGED = {}
"""Rule → a subject that breaks it."""


def breaks(rule):
    def register(connector):
        SABOTAGED[rule] = with_connector(connector)
        return connector

    return register


def with_connector(connector):
    """The reference's subject, with another connector."""
    hook = hookimpl(lambda: [connector])
    return replace(subject(), connector=connector, plugin=SimpleNamespace(__name__="notebook", connectors=hook))


# Bronze ---------------------------------------------------------------------------------------------------------------

SABOTAGED["B01"] = replace(subject(), security_contact="")


@hookimpl
def asks_for_too_much(hub):
    return [Notebook]


SABOTAGED["B03"] = replace(subject(), plugin=SimpleNamespace(__name__="notebook", connectors=asks_for_too_much))


@breaks("B05")
class UnmarkedSecret(Notebook):
    class settings(NotebookSettings):
        api_key = fields.String(load_default="", metadata={"title": "Key", "help": "Found in the profile."})


@breaks("B06")
class TakesAnything(Notebook):
    class settings(NotebookSettings):
        url = fields.String(required=True, metadata={"title": "Address", "help": "https://notebook.example"})


@breaks("B07")
class WritesToTest(Notebook):
    def check(self):
        result = super().check()
        self._call("POST", "/services", json={"items": [{"ref": "1", "id": None, "values": {"name": "a test"}}]})
        return result


@breaks("B08")
class SaysNothing(Notebook):
    def check(self):
        try:
            return super().check()
        except ConnectorError as failure:
            raise type(failure)("401 Unauthorized from upstream") from failure


@breaks("B09")
class AnotherAccountEachTime(Notebook):
    def check(self):
        return replace(super().check(), account_id=str(uuid4()))


@breaks("B10")
class ChildrenFirst(Notebook):
    streams = tuple(reversed(Notebook.streams))


@breaks("B11")
class ComesTwice(Notebook):
    def _page(self, stream, rows, cursor):
        return super()._page(stream, [*rows, *rows[:1]], cursor)


@breaks("B12")
class NeverTheSame(Notebook):
    def _page(self, stream, rows, cursor):
        return super()._page(stream, [row | {"phone": f"{random()}"} for row in rows], cursor)


@breaks("B13")
class TakesErrorsForTheEnd(Notebook):
    def _get(self, path, **params):
        answer = super()._get(path, **params)
        if path == "/me" or "records" in answer:
            return answer
        return {"records": [], "next": None, "now": datetime.now(UTC).isoformat()}


@breaks("B14")
class LogsTheToken(Notebook):
    def pull(self, stream, cursor):
        self.context.log.info("reading", headers=f"Bearer {self.context.settings['token']}")
        return super().pull(stream, cursor)


@breaks("B15")
class GoesPastTheHub(Notebook):
    def check(self):
        settings = self.context.settings
        requests.get(f"{settings['url']}/me", headers={"Authorization": f"Bearer {settings['token']}"}, timeout=5)
        return super().check()


@breaks("B18")
class KeepsAThread(Notebook):
    def check(self):
        threading.Thread(target=self.ended.wait, args=(5,), daemon=True, name="watcher").start()
        return super().check()

    ended = threading.Event()


SABOTAGED["B19"] = replace(subject(), docs=Path(__file__))


# Silver ---------------------------------------------------------------------------------------------------------------


@breaks("S01")
class KeepsNoPlace(Notebook):
    def pull(self, stream, cursor):
        for page in super().pull(stream, None):
            yield replace(page, cursor={"v": 1, "at": None, "page": None})


@breaks("S02")
class LeavesOutTies(Notebook):
    def pull(self, stream, cursor):
        last = None
        for page in super().pull(stream, cursor):
            kept = tuple(change for change in page.changes if last is None or change.modified_at > last)
            last = max((change.modified_at for change in page.changes), default=last)
            yield replace(page, changes=kept)


@breaks("S03")
class LooksBackAtNothing(Notebook):
    def _stream(self, kind):
        return replace(super()._stream(kind), lookback_s=0)


@breaks("S04")
class CountsPages(Notebook):
    def pull(self, stream, cursor):
        at = None if cursor is None else datetime.fromisoformat(cursor["at"])
        offset = 0
        while True:
            answer = self._get(f"/{stream}", since=at and at.isoformat(), offset=str(offset))
            rows, offset = answer["records"], offset + len(answer["records"])
            stamps = [_stamp(row) for row in rows if row["modified_at"]]
            if rows:
                yield self._page(stream, rows, {"v": 1, "at": max(stamps).isoformat(), "page": None})
            if not answer["next"]:
                return


@breaks("S05")
class BelievesInTheFuture(Notebook):
    def _get(self, path, **params):
        answer = super()._get(path, **params)
        return answer | {"now": "2999-01-01T00:00:00+00:00"} if "now" in answer else answer


@breaks("S06")
class DropsWhatHasNoDate(Notebook):
    def _page(self, stream, rows, cursor):
        return super()._page(stream, [row for row in rows if row["modified_at"]], cursor)


@breaks("S07")
class AsksInItsOwnTime(Notebook):
    def _get(self, path, *, since=None, **params):
        local = since and datetime.fromisoformat(since).astimezone().replace(tzinfo=None).isoformat()
        return super()._get(path, since=local, **params)


@breaks("S08")
class CutsInstants(Notebook):
    def _get(self, path, **params):
        answer = super()._get(path, **params)
        if answer.get("next"):
            at, id = answer["next"].split("|")
            cut = datetime.fromisoformat(at)
            cut = cut.replace(microsecond=cut.microsecond // 1000 * 1000)
            answer["next"] = f"{cut.isoformat(timespec='microseconds')}|{id}"
        return answer


@breaks("S09")
class SaysDoneTooEarly(Notebook):
    def pull(self, stream, cursor):
        for page in super().pull(stream, cursor):
            yield replace(page, cursor={"v": 1, "at": datetime.now(UTC).isoformat(), "page": None})


@breaks("S10")
class RemembersByItself(Notebook):
    places = {}

    def pull(self, stream, cursor):
        place = self.context.settings["url"], stream
        for page in super().pull(stream, self.places.get(place, cursor)):
            self.places[place] = page.cursor
            yield page


@breaks("S11")
class ForgetsOldCursors(Notebook):
    def pull(self, stream, cursor):
        if cursor is not None and cursor["v"] != 2:
            raise TemporaryFailure("This cursor is of an earlier release.")
        for page in super().pull(stream, cursor):
            yield replace(page, cursor=page.cursor | {"v": 2})


@breaks("S16")
class DoesNotSayHowLong(Notebook):
    def _call(self, *arguments, **named):
        try:
            return super()._call(*arguments, **named)
        except TemporaryFailure as failure:
            raise TemporaryFailure(str(failure)) from failure


@breaks("S18")
class TakesTheQuotaForABreak(Notebook):
    def _call(self, *arguments, **named):
        try:
            return super()._call(*arguments, **named)
        except QuotaSpent as spent:
            raise TemporaryFailure(str(spent)) from spent


@breaks("S20")
class SendsForOthers(Notebook):
    """Gathers what is to be sent, and sends it all with whoever comes next."""

    gathered = {}

    def push(self, batch):
        ours = self.gathered.setdefault((self.context.settings["url"], batch.stream), [])
        ours += batch.sendings
        known = {sending.ref for sending in batch.sendings}
        outcomes = super().push(replace(batch, sendings=tuple(ours)))
        ours.clear()
        return [outcome for outcome in outcomes if outcome.ref in known]


@breaks("S21")
class CallsRefusedUnchanged(Notebook):
    def push(self, batch):
        return [
            Outcome(each.ref, Status.UNCHANGED) if each.status == Status.REJECTED else each
            for each in super().push(batch)
        ]


@breaks("S22")
class StopsAtABadRow(Notebook):
    def _page(self, stream, rows, cursor):
        page = super()._page(stream, rows, cursor)
        if page.refused:
            raise PermanentFailure(f"{page.refused[0].remote_id} has no name.")
        return page


# Gold -----------------------------------------------------------------------------------------------------------------


@breaks("G01")
class FindsNothing(Notebook):
    def find(self, stream, sendings):
        return []


@breaks("G02")
class AnotherKeyEachProcess(Notebook):
    def push(self, batch):
        return super().push(replace(batch, key=uuid4().hex))


@breaks("G03")
class TakesSlowForDead(Notebook):
    call_timeout_s = 0


@breaks("G04")
class SendsTheTime(Notebook):
    def body(self, stream, record, remote_ids, *, part=""):
        return super().body(stream, record, remote_ids, part=part) | {"sent_at": f"{random()}"}


@breaks("G05")
class SignsEachCallAnew(Notebook):
    """The notebook here lets anything after a colon in a key pass, so that nothing is made twice; another would not."""

    def _call(self, *arguments, key="", **named):
        return super()._call(*arguments, key=f"{key}:{uuid4()}" if key else "", **named)


@breaks("G06")
class TakesTheFirst(Notebook):
    def find(self, stream, sendings):
        found = {}
        for item in super().find(stream, sendings):
            found.setdefault(item.ref, replace(item, ours=True))
        return list(found.values())


@breaks("G08")
class WritesOverWhatIsThere(Notebook):
    def push(self, batch):
        sendings = [
            replace(each, remote_version=None, body={"phone": ""} | each.body)
            if batch.stream == "clients" and each.remote_id
            else each
            for each in batch.sendings
        ]
        return super().push(replace(batch, sendings=tuple(sendings)))


@breaks("G09")
class SendsAnOldEdit(Notebook):
    edits = {}

    def push(self, batch):
        def first(sending):
            place = self.context.settings["url"], sending.remote_id
            return self.edits.setdefault(place, sending.body) if sending.remote_id else sending.body

        return super().push(replace(batch, sendings=tuple(replace(each, body=first(each)) for each in batch.sendings)))


@breaks("G10")
class NeedsNothing(Notebook):
    def needs(self, stream, record):
        return []

    def body(self, stream, record, remote_ids, *, part=""):
        known = remote_ids if stream != "invoices" else {Ref("clients", record.client_id): "somebody"}
        return super().body(stream, record, known, part=part)


@breaks("G11")
class GoesByPosition(Notebook):
    def push(self, batch):
        outcomes = super().push(batch)
        return [replace(each, ref=sending.ref) for each, sending in zip(outcomes, batch.sendings, strict=True)]


@breaks("G12")
class BooksAPlaceWhenItLooks(Notebook):
    def find(self, stream, sendings):
        found = super().find(stream, sendings)
        items = [{"ref": "1", "id": None, "version": None, "values": {"name": "reserved"}}]
        self._call("POST", "/services", json={"items": items})
        return found


@breaks("G13")
class KeepsALogOverThere(Notebook):
    def push(self, batch):
        items = [{"ref": "1", "id": None, "version": None, "values": {"name": "a batch was sent"}}]
        self._call("POST", "/services", json={"items": items})
        return super().push(batch)


@breaks("G14")
class TakesMissingForDeleted(Notebook):
    known = {}

    def pull(self, stream, cursor):
        known, found = self.known.setdefault(self.context.settings["url"], set()), set()
        try:
            for page in super().pull(stream, cursor):
                found |= {change.remote_id for change in page.changes}
                yield page
        except ConnectorError:
            pass
        if cursor is None:
            gone = known - found
            if gone:
                yield Page(tuple(Change(stream, each, {}, deleted=True) for each in gone), None)
        known |= found


@breaks("G16")
class CountsInFloats(Notebook):
    def body(self, stream, record, remote_ids, *, part=""):
        body = super().body(stream, record, remote_ids, part=part)
        return body | {"total": str(round(float(record.total), 1))} if "total" in body else body


@breaks("G20")
class TakesTheNextEditForItsEcho(Notebook):
    written = {}

    def push(self, batch):
        outcomes = super().push(batch)
        for each in outcomes:
            if each.remote_version:
                self.written[self.context.settings["url"], each.remote_id] = int(each.remote_version)
        return outcomes

    def _page(self, stream, rows, cursor):
        url = self.context.settings["url"]
        return super()._page(
            stream, [row for row in rows if row["version"] > self.written.get((url, row["id"]), -1) + 1], cursor
        )


@breaks("G26")
class KeepsOneAddress(Notebook):
    first = {}

    def _call(self, *arguments, **named):
        if arguments[1] != "/me":
            self.context.settings.update(self.first.setdefault("settings", dict(self.context.settings)))
        return super()._call(*arguments, **named)


@breaks("S19")
class TakesDownForBusy(Notebook):
    """So that nothing ever counts as trouble."""

    def _call(self, *arguments, **named):
        try:
            return super()._call(*arguments, **named)
        except TemporaryFailure as failure:
            raise Busy(str(failure)) from failure


@breaks("G24")
class SendsARefusedOneTwice(Notebook):
    """Once by itself and once with its batch, when it was refused before."""

    known = {}

    def push(self, batch):
        outcomes = super().push(batch)
        for outcome, sending in ((o, s) for o in outcomes for s in batch.sendings if o.ref == s.ref):
            name = sending.body["name"]
            if outcome.status == Status.REJECTED:
                self.known[name] = True
            elif self.known.pop(name, False):
                super().push(replace(batch, key=uuid4().hex, sendings=(sending,)))
        return outcomes


# Platinum -------------------------------------------------------------------------------------------------------------


@breaks("P01")
class HasNoTypes(Notebook):
    def untyped(self, anything):
        return anything


@breaks("P02")
class ReadsPastTheHub(Notebook):
    def pull(self, stream, cursor):
        settings = self.context.settings
        requests.get(f"{settings['url']}/me", headers={"Authorization": f"Bearer {settings['token']}"}, timeout=5)
        yield from super().pull(stream, cursor)


@breaks("P03")
class CallsOnThreadsOfItsOwn(Notebook):
    """Which belong to nothing that the hub does."""

    def push(self, batch):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(super(CallsOnThreadsOfItsOwn, self).push(batch)))
        thread.start()
        thread.join()
        return answers[0]


@hookimpl
def slow_to_say():
    time.sleep(0.006)
    return [Notebook]


SABOTAGED["P04"] = replace(subject(), plugin=SimpleNamespace(__name__="notebook", connectors=slow_to_say))


def forget():
    """Let no sabotage remember what it met before."""
    for connector in (
        RemembersByItself,
        SendsAnOldEdit,
        SendsForOthers,
        TakesMissingForDeleted,
        TakesTheNextEditForItsEcho,
        KeepsOneAddress,
        SendsARefusedOneTwice,
    ):
        for name in ("edits", "places", "gathered", "known", "written", "first"):
            getattr(connector, name, {}).clear()


SABOTAGED["B04"] = replace(subject(), distribution="werkzeug")  # which does not say for which versions of the hub it is
