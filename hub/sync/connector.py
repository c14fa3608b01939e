"""The contract between the sync engine and a connector.

A connector author writes mapping and vendor calls; the engine owns what is owed, attempts, retries, limits, cursors,
links, matching and runs. A connector never opens a database, never queues, never retries by itself.

Going out, per block of records of one stream:  `needs` → `body` → (stored by the engine) → `push` → one Outcome each.
Coming in, per page:                            `pull` or `fetch` → Page of Change → merged and saved by the engine.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from marshmallow import Schema

Values = dict[str, Any]
"""Field name → JSON value. Money and dates are strings; a missing key says nothing, null says empty."""

Cursor = dict[str, Any]
"""Where a pull stands, as the connector likes it: a small JSON object with a "v" key for its version."""


# What is declared -----------------------------------------------------------------------------------------------------


class Authority(StrEnum):
    """Whose value of a field wins when both sides changed it.

    hub: ours, and what they change of it goes back to them. remote: theirs. newest: the later of the two changes
    (theirs where they do not say when). manual: a person's; until then neither side is written.
    """

    HUB = "hub"
    REMOTE = "remote"
    NEWEST = "newest"
    MANUAL = "manual"


class DeleteSignal(StrEnum):
    """How a stream lets it be known that a record was deleted over there.

    told: what is pulled, or a message, says so. full_read: by nothing but its absence from a complete read from the
    beginning, and from `fetch`. none: not at all.
    """

    TOLD = "told"
    FULL_READ = "full_read"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record, in one direction or both.

    kind: the record kind, which is also the stream's name. batch_size: most records of one push call.
    keyed: the vendor answers a repeated key with the first answer, for key_life_s seconds; so a call whose answer was
    lost is simply repeated. versioned: the vendor refuses an update that names an old version.
    on_demand: a record is created there only when another one needs it (a client with its first invoice), unless the
    connection's conditions say otherwise. find_first: ask `find` before a create, because names are taken there once
    (clients, services); a document with a number of ours is only looked for after a lost answer. lookback_s: how far
    an incremental pull reads back before its cursor. deletes: how a deletion over there becomes known. authority: per
    field of the hub an Authority ("*" for all others; default remote). Parents are declared before children.
    """

    kind: str
    title: str
    pulls: bool = False
    pushes: bool = False
    batch_size: int = 1
    keyed: bool = False
    key_life_s: int = 0
    versioned: bool = False
    on_demand: bool = False
    find_first: bool = False
    lookback_s: int = 300
    deletes: DeleteSignal = DeleteSignal.TOLD
    authority: Mapping[str, str] = field(default_factory=dict)
    conditions: type[Schema] | None = None

    def __post_init__(self) -> None:
        for name, rule in self.authority.items():
            if rule not in list(Authority):
                known = ", ".join(Authority)
                raise ValueError(f"stream {self.kind}: the authority of {name} is {rule!r}; use one of {known}")

    def rule(self, name: str) -> str:
        """Whose value of a field wins."""
        return self.authority.get(name, self.authority.get("*", Authority.REMOTE))


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` calls of this class within any `per_s` seconds, and at most `in_flight` at once (0: no limit).

    One budget per remote account, shared by all workers.
    """

    name: str
    calls: int = 0
    per_s: float = 60
    in_flight: int = 0


# What a check and a discovery tell ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check, or one difference that a person should look at."""

    ok: bool
    name: str
    text: str
    remedy: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a connection test found out. No test writes anything over there.

    account_id and account_name name the account on the other side; facts are what the mapping needs to know about it
    (tax model, currency, accounts): small JSON, kept with the connection and renewed by every check.
    """

    account_id: str
    account_name: str
    environment: str
    findings: tuple[Finding, ...] = ()
    facts: Values = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)


# Going out ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ref:
    """One of our records that a mapping needs the remote id of. part: which of several things it is there."""

    kind: str
    id: UUID
    part: str = ""


RemoteIds = Mapping[Ref, str]


class Op(StrEnum):
    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Sending:
    """One record on its way out, exactly as it was stored before it was sent.

    ref: names the item within its batch (at most 10 characters). key: at most 36 characters, the same for a repeat of
    the same body, never the same for another. body: on create all mapped fields, on update those that differ from
    what was sent last. label: what a person calls the record, for messages.
    """

    ref: str
    key: str
    op: Op
    body: Values
    label: str = ""
    remote_id: str | None = None
    remote_version: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The sendings of one call. key: at most 32 characters; a repeat of the same batch has the same key."""

    key: str
    stream: str
    sendings: tuple[Sending, ...]


class Status(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    REJECTED = "rejected"
    CONFLICT = "conflict"
    DEFERRED = "deferred"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sending.

    ref: the sending's. remote_id and remote_version: as the answer names them. reason, field, remedy: why it was
    rejected, which of our fields is wrong, and what to do. until: when a deferred one may go again. findings: what
    was accepted but is not as it was sent (a total that differs). stops: not the record but the connection is at fault,
    so that any other one would fare the same: it is held, with this reason, until a person has mended it.
    """

    ref: str
    status: Status
    remote_id: str | None = None
    remote_version: str | None = None
    reason: str = ""
    field: str = ""
    remedy: str = ""
    until: datetime | None = None
    findings: tuple[Finding, ...] = ()
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A record over there that may be the one about to be created.

    ref: the sending's it was found for. ours: it certainly is that record, because it carries our key or, for a
    document, number, client, date and total agree; it is adopted without asking. score: 0 to 100 for a person.
    """

    ref: str
    remote_id: str
    remote_version: str | None
    label: str
    ours: bool = False
    score: int = 0
    why: str = ""


# Coming in ------------------------------------------------------------------------------------------------------------


class Missing(StrEnum):
    """What to do with a change whose reference names a record the hub does not have."""

    WAIT = "wait"
    """Fetch the parent and take the change up again afterwards."""
    NONE = "none"
    """Take the change without it."""
    LEAVE_OUT = "leave-out"
    """The change does not concern the hub; it is not even counted as read."""


@dataclass(frozen=True, slots=True)
class RemoteRef:
    """Another record, by its id over there; stands inside `Change.values` where the hub wants its own id."""

    kind: str
    remote_id: str
    missing: Missing = Missing.WAIT


@dataclass(frozen=True, slots=True)
class Change:
    """What the other system showed of one record, in the hub's field names.

    values: complete for the fields the connector maps; RemoteRef for references, nested where needed.
    our_id: our id of this kind, found on the record. version: opaque. label: what a person calls it.
    lineage: records of another kind that it comes from (an opportunity of a deal), as (kind, our id). may_be: kinds
    that are sent as this same thing: it comes from the record of theirs, if any, that was sent under its remote id.
    match: what first matching may compare besides values (website, tax_id, email, number, total, ...).
    """

    kind: str
    remote_id: str
    values: Values
    version: str = ""
    label: str = ""
    our_id: UUID | None = None
    deleted: bool = False
    merged_into: str | None = None
    modified_at: datetime | None = None
    lineage: tuple[tuple[str, UUID], ...] = ()
    may_be: tuple[str, ...] = ()
    match: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row over there that could not be turned into a change: which one, and why."""

    remote_id: str
    reason: str
    field: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes, and the cursor that is true once all of them are saved."""

    changes: tuple[Change, ...]
    cursor: Cursor | None
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One document as the other system holds it, for reconciliation. Amounts are in `currency`."""

    remote_id: str
    number: str
    on: date
    currency: str
    total: Decimal
    tax: Decimal = Decimal(0)
    open: Decimal | None = None
    label: str = ""
    voided: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """Something may have changed over there: go and look."""

    kind: str
    remote_id: str
    deleted: bool = False


# What a connector is given --------------------------------------------------------------------------------------------


class Log(Protocol):
    def info(self, event: str, **details: Any) -> Any: ...
    def warning(self, event: str, **details: Any) -> Any: ...


class TokenStore(Protocol):
    """One access token for a connection, renewed by one process at a time however many need it.

    `renew` gets the tokens as they stand and returns the new ones ({"access_token", "expires_at"?, "refresh_token"?});
    they are saved before they are used. `seen` is the access token that was refused: when another process has
    renewed it meanwhile, that one is returned and `renew` is not called. A refresh token given in the settings is
    the starting point: `renew` finds it under "refresh_token".
    """

    def access_token(self, renew: Renew, *, seen: str | None = None) -> str: ...


class Renew(Protocol):
    def __call__(self, tokens: Values, /) -> Values: ...


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """Everything a connector knows about the connection it serves.

    settings: loaded by the connector's schema, secrets in clear. facts: what the last check found out.
    http: `hub.http.HttpClient`. conditions: per stream, loaded by the stream's schema; start_on: the first day that
    counts, per stream.
    """

    name: str
    settings: Values
    facts: Values
    http: Any
    tokens: TokenStore
    log: Log
    conditions: Mapping[str, Values] = field(default_factory=dict)
    start_on: Mapping[str, date] = field(default_factory=dict)


class Connector(ABC):
    """Speaks to one account of one kind of system. One instance per slice of work, used by one thread at a time.

    Every method may raise the ConnectorError that says what the engine should do.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    category: ClassVar[str]
    """CRM, Accounting, ERP, ..."""
    settings: ClassVar[type[Schema]]
    streams: ClassVar[tuple[Stream, ...]]
    limits: ClassVar[tuple[Limit, ...]] = ()
    call_timeout_s: ClassVar[float] = 120
    """After so many seconds the other system certainly works on no call of ours any more."""

    def __init__(self, context: ConnectionContext) -> None:
        self.context = context

    def check(self) -> CheckResult:
        """Test the connection: who are we over there, what may we do, what would be used. Writes nothing."""
        raise NotImplementedError

    def pull(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        """Pages of what changed since the cursor (None: from the beginning, within start day and conditions)."""
        raise NotImplementedError

    def fetch(self, stream: str, remote_ids: Sequence[str]) -> Page:
        """These records as they are now; the page's cursor is None. Unknown ids are left out."""
        raise NotImplementedError

    def needs(self, stream: str, record: Any) -> Sequence[Ref]:
        """The records this one refers to. Pure: no calls."""
        return ()

    def body(self, stream: str, record: Any, remote_ids: RemoteIds, *, part: str = "") -> Values:
        """The record in the vendor's fields. Pure: no calls. Raises PermanentFailure naming the field at fault.

        part: of a record that is several things over there, the one that is meant (`Ref.part`).
        """
        raise NotImplementedError

    def find(self, stream: str, sendings: Sequence[Sending]) -> Sequence[Found]:
        """What is there already that may be one of these: after a lost answer, and before creates with find_first."""
        return ()

    def push(self, batch: Batch) -> Sequence[Outcome]:
        """Send one batch; one outcome per sending, matched by ref. Raises OutcomeUnknown when no answer came."""
        raise NotImplementedError

    def statement(self, stream: str, from_on: date | None, to_on: date | None) -> Iterator[StatementLine]:
        """Every document of a stream in a period (by its own date), for reconciliation."""
        raise NotImplementedError

    def webhook(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """Verify a message on its raw bytes and say what to look at. Raises WebhookRejected."""
        raise NotImplementedError
