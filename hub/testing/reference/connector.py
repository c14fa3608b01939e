"""The connector of the notebook, a plain system of JSON records: clients both ways, services and invoices out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields

from hub.sdk import (
    Batch,
    Change,
    CheckResult,
    ConfigurationFailure,
    Connector,
    Cursor,
    Finding,
    Found,
    Limit,
    Outcome,
    OutcomeUnknown,
    Page,
    PermanentFailure,
    QuotaSpent,
    Ref,
    Refused,
    RemoteIds,
    Sending,
    StatementLine,
    Status,
    Stream,
    TemporaryFailure,
    Values,
    failure_for,
    money_text,
)

_STATUS = {
    "created": Status.CREATED,
    "updated": Status.UPDATED,
    "refused": Status.REJECTED,
    "stale": Status.CONFLICT,
}


class NotebookSettings(Schema):
    """What an admin enters."""

    url = fields.Url(
        required=True, require_tld=False, metadata={"title": "Address", "help": "https://notebook.example"}
    )
    token = fields.String(
        required=True, metadata={"title": "Token", "help": "In the notebook under Profile, Tokens.", "secret": True}
    )


class Notebook(Connector):
    """One account of the notebook."""

    name = "notebook"
    title = "Notebook"
    category = "Reference"
    settings = NotebookSettings
    streams = (
        Stream(
            "clients",
            "Clients",
            pulls=True,
            pushes=True,
            batch_size=10,
            keyed=True,
            key_life_s=24 * 3600,
            versioned=True,
            lookback_s=300,
        ),
        Stream("services", "Services", pushes=True, find_first=True),
        Stream("invoices", "Invoices", pushes=True, batch_size=10, keyed=True, key_life_s=24 * 3600),
    )
    limits = (Limit("calls", calls=600, per_s=60, in_flight=8),)

    def check(self) -> CheckResult:
        """Who are we over there, and may we write?"""
        me = self._get("/me")
        may_write = "write" in _field(me, "scopes")
        writing = Finding(
            ok=may_write,
            name="scopes",
            text="The token may read and write." if may_write else "The token may only read: nothing can be sent.",
            remedy="" if may_write else "Make a token with the scope “write” in the notebook under Profile, Tokens.",
            field="token",
        )
        return CheckResult(str(_field(me, "id")), str(_field(me, "name")), "production", (writing,))

    # Coming in -------------------------------------------------------------------------------------------------------

    def pull(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        """Pages by change, oldest first.

        The cursor is {"v": 1, "at": the latest change read, "page": where an unfinished read goes on}. A finished one
        starts again `lookback_s` before "at", because a record can become visible after a later one.
        """
        at = None if cursor is None or cursor["at"] is None else datetime.fromisoformat(cursor["at"])
        place = (cursor or {}).get("page")
        since = None if at is None else at - timedelta(seconds=self._stream(stream).lookback_s)
        while True:
            answer = self._get(f"/{stream}", since=since.isoformat() if since else None, page=place)
            rows, place = _field(answer, "records"), _field(answer, "next")
            now = datetime.fromisoformat(_field(answer, "now"))
            # A date in the future, which somebody may have typed, must not hide what is changed until then.
            stamps = [stamp for row in rows if (stamp := _stamp(row)) is not None and stamp <= now]
            at = max([*stamps, at] if at else stamps, default=None)
            if rows or place:
                yield self._page(stream, rows, {"v": 1, "at": at and at.isoformat(), "page": place})
            if not place:
                return

    def fetch(self, stream: str, remote_ids: Sequence[str]) -> Page:
        answer = self._get(f"/{stream}", ids=",".join(remote_ids))
        return self._page(stream, _field(answer, "records"), None)

    def _page(self, stream: str, rows: Sequence[Values], cursor: Cursor | None) -> Page:
        changes, refused = list[Change](), list[Refused]()
        for row in rows:
            if row.get("name") or row.get("deleted"):
                changes.append(_change(stream, row))
            else:
                refused.append(Refused(str(row["id"]), "It has no name.", field="name"))
        return Page(tuple(changes), cursor, tuple(refused))

    # Going out -------------------------------------------------------------------------------------------------------

    def needs(self, stream: str, record: Any) -> Sequence[Ref]:
        return [Ref("clients", record.client_id)] if stream == "invoices" else []

    def body(self, stream: str, record: Any, remote_ids: RemoteIds, *, part: str = "") -> Values:
        """The record in the notebook's words. `hub_id` says there which record of ours it is."""
        if stream == "invoices":
            return {
                "hub_id": str(record.id),
                "name": record.number,
                "client": remote_ids[Ref("clients", record.client_id)],
                "dated_on": record.dated_on.isoformat(),
                "currency": record.currency,
                "total": money_text(record.total, record.currency),
                "tax": money_text(record.tax, record.currency),
            }
        if stream == "clients":
            return {"hub_id": str(record.id), "name": record.name, "email": record.email, "phone": record.phone}
        return {"hub_id": str(record.id), "name": record.name}

    def find(self, stream: str, sendings: Sequence[Sending]) -> Sequence[Found]:
        """By our id on the record, else by its name."""
        found: list[Found] = []
        for sending in sendings:
            answer = self._get(f"/{stream}", hub_id=sending.body["hub_id"], name=sending.body["name"])
            for row in _field(answer, "records"):
                ours = row.get("hub_id") == sending.body["hub_id"]
                why = "it carries our id" if ours else "it has the same name"
                found.append(Found(sending.ref, row["id"], str(row["version"]), row["name"], ours, 100, why))
        return found

    def push(self, batch: Batch) -> Sequence[Outcome]:
        """One call for the batch; the notebook has a verdict for each item, in any order."""
        versioned = self._stream(batch.stream).versioned
        items = [
            {
                "ref": sending.ref,
                "id": sending.remote_id,
                "version": sending.remote_version if versioned else None,
                "values": sending.body,
            }
            for sending in batch.sendings
        ]
        answer = self._call("POST", f"/{batch.stream}", json={"items": items}, key=batch.key)
        return [_outcome(result) for result in _field(answer, "results", write=True)]

    def statement(self, stream: str, from_on: date | None, to_on: date | None) -> Iterator[StatementLine]:
        place = None
        while True:
            answer = self._get(f"/{stream}", page=place)
            for row in _field(answer, "records"):
                on = date.fromisoformat(row["dated_on"])
                if (from_on or on) <= on <= (to_on or on):
                    total, tax = Decimal(row["total"]), Decimal(row["tax"])
                    yield StatementLine(row["id"], row["name"], on, row["currency"], total, tax)
            if not (place := _field(answer, "next")):
                return

    # Calls -----------------------------------------------------------------------------------------------------------

    def _stream(self, kind: str) -> Stream:
        return next(stream for stream in self.streams if stream.kind == kind)

    def _get(self, path: str, **params: str | None) -> Any:
        return self._call("GET", path, params={name: value for name, value in params.items() if value})

    def _call(self, method: str, path: str, *, params: Any = None, json: Any = None, key: str = "") -> Any:
        """One call. What is no answer of the notebook's is never taken for one."""
        settings, write = self.context.settings, method != "GET"
        headers = {"Authorization": f"Bearer {settings['token']}", "Idempotency-Key": key}
        address = settings["url"].rstrip("/") + path
        response = self.context.http.request(
            method, address, params=params, json=json, headers=headers, limits=("calls",)
        )
        if response.status_code == 429 and response.headers.get("X-Quota-Resets-At"):
            resets_at = datetime.fromisoformat(response.headers["X-Quota-Resets-At"])
            raise QuotaSpent("The notebook takes no more calls today.", resets_at=resets_at)
        if response.status_code in (401, 403):
            reason = "does not know the token" if response.status_code == 401 else "does not let the token do this"
            raise ConfigurationFailure(f"The notebook {reason}. Make a new one under Profile, Tokens.", field="token")
        if failure := failure_for(response, write=write):
            raise failure
        if not response.ok:
            raise PermanentFailure(f"The notebook refused it with status {response.status_code}.")
        try:
            return response.json()
        except ValueError:
            raise _no_answer(write) from None


def _field(answer: Any, name: str, *, write: bool = False) -> Any:
    """A part of an answer that is always there: where it is not, somebody else has answered."""
    if not isinstance(answer, dict) or name not in answer:
        raise _no_answer(write)
    return answer[name]


def _no_answer(write: bool) -> Exception:
    text = "What came back is no answer of the notebook's. Check its address, and whether a proxy stands before it."
    return OutcomeUnknown(text) if write else TemporaryFailure(text)


def _stamp(row: Values) -> datetime | None:
    return datetime.fromisoformat(row["modified_at"]).astimezone(UTC) if row["modified_at"] else None


def _change(stream: str, row: Values) -> Change:
    ours = row.get("hub_id")
    return Change(
        stream,
        str(row["id"]),
        {name: row[name] for name in ("name", "email", "phone") if name in row},
        version=str(row["version"]),
        label=row.get("name", ""),
        our_id=UUID(ours) if ours else None,
        deleted=bool(row.get("deleted")),
        modified_at=_stamp(row),
    )


def _outcome(result: Values) -> Outcome:
    version = result.get("version")
    return Outcome(
        ref=result["ref"],
        status=_STATUS[result["status"]],
        remote_id=result.get("id"),
        remote_version=None if version is None else str(version),
        reason=result.get("reason", ""),
        field=result.get("field", ""),
        remedy="Mend it in the hub; it is sent again by itself." if result["status"] == "refused" else "",
    )
