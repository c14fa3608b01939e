"""The tables of the sync engine. What is owed stands in `hub.core.outbox`; here is what was done about it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.core import clock
from hub.core.columns import Amount
from hub.core.database import Base, Identified


class ConnectionState(StrEnum):
    """active: reads and writes. read_only: reads. paused: does nothing. needs_attention: a person must mend it."""

    ACTIVE = "active"
    READ_ONLY = "read_only"
    PAUSED = "paused"
    NEEDS_ATTENTION = "needs_attention"


class Connection(Identified, Base):
    """One account of one other system. settings and tokens are encrypted; facts: what the last check found out."""

    __tablename__ = "connection"
    __audited__ = True
    __secret__ = frozenset({"settings", "tokens"})
    # One account is connected once; a removed connection frees it.
    __table_args__ = (Index("uq_connection_account", "connector", "account_id", unique=True),)

    name: Mapped[str] = mapped_column(unique=True)
    plugin: Mapped[str]
    connector: Mapped[str]
    settings: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(default=ConnectionState.ACTIVE)
    writes: Mapped[bool] = mapped_column(default=True)
    """What the state goes back to after a pause or a repair: active with writes, else read_only."""
    reason: Mapped[str] = mapped_column(Text, default="")
    signed_out: Mapped[bool] = mapped_column(default=False, server_default="0")
    """Whether that reason is that somebody has to sign in over there again."""
    began_at: Mapped[datetime | None]
    """When it was let run first; None for one that is still being set up."""
    account_id: Mapped[str | None]
    account_name: Mapped[str] = mapped_column(default="")
    environment: Mapped[str] = mapped_column(default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    findings: Mapped[list[Any] | None]
    checked_at: Mapped[datetime | None]
    pulled_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    """When a person asked for a run that has not begun."""
    failed_in_row: Mapped[int] = mapped_column(default=0, server_default="0")
    tried_again_at: Mapped[datetime | None]
    """While it is left alone after failures: when it is tried again (see `hub.sync.breaker`)."""
    left_alone_since: Mapped[datetime | None]
    last_failure: Mapped[str] = mapped_column(Text, default="", server_default="")
    """How the last of the calls in a row failed."""
    unsigned_at: Mapped[datetime | None]
    """When a message came in that was not signed by them, to the hour; None once one was."""
    guard_updates: Mapped[int] = mapped_column(default=30, server_default="30")
    guard_deletes: Mapped[int] = mapped_column(default=2, server_default="2")
    """How many percent of a stream's linked records one plan may update and delete without being asked twice."""
    restored_at: Mapped[datetime | None]
    """When this hub was restored, until it writes here again."""
    only_there: Mapped[list[Any] | None]
    """After a restore: the numbers of our documents that only the other system has; None before it was looked at."""
    tokens: Mapped[str | None] = mapped_column(Text)
    token_version: Mapped[int] = mapped_column(default=0)
    token_lease_until: Mapped[datetime | None]
    token_intent_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class FormerConnection(Identified, Base):
    """A removed connection, whose links, cursors and history stand under its id still.

    When the same account is connected again the new connection gets this id, and so takes all of that up.
    """

    __tablename__ = "former_connection"
    __table_args__ = (UniqueConstraint("connector", "account_id"),)

    connector: Mapped[str]
    account_id: Mapped[str]
    name: Mapped[str]
    removed_at: Mapped[datetime] = mapped_column(default=clock.now)


class Batch(Identified, Base):
    """The sendings of one call, kept as they went.

    key: the same for a repeat. fence: grows with every worker that takes it, and says whose the lease is. sent_at: when
    it last left, by the database's clock. answered_at: None while unknown.
    """

    __tablename__ = "batch"

    connection_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str]
    key: Mapped[str]
    run_id: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]


class Attempt(Identified, Base):
    """One send of one record: stored before it goes out, closed by its outcome.

    body: as it goes over the wire. mapped: all mapped fields, which become the link's `sent`. agreed: our record's
    fields as it was mapped, which become the link's, on streams that are read too. wanted: the link's
    counter that this send settles. status: empty while there is no answer. answer: what else it said.
    """

    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_link_id_id", "link_id", "id"),)

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), index=True)
    link_id: Mapped[UUID] = mapped_column(ForeignKey("link.id"))
    ref: Mapped[str]
    key: Mapped[str]
    op: Mapped[str]
    fence: Mapped[int]
    wanted: Mapped[int]
    revision: Mapped[int]
    remote_id: Mapped[str | None]
    remote_version: Mapped[str | None]
    label: Mapped[str]
    body: Mapped[dict[str, Any]]
    mapped: Mapped[dict[str, Any]]
    agreed: Mapped[dict[str, Any] | None]
    sent_at: Mapped[datetime] = mapped_column(default=clock.now)
    answered_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    answer: Mapped[dict[str, Any] | None]


class Hint(Identified, Base):
    """Something over there has to be looked at (again). Gone once it was, unless it was left again meanwhile."""

    __tablename__ = "hint"
    __table_args__ = (UniqueConstraint("connection_id", "kind", "remote_id"),)

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    remote_id: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    due_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    times_left: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class WebhookMessage(Identified, Base):
    """A message as it came in, kept before it was answered. external_id: the sender's, so that repeats are seen."""

    __tablename__ = "webhook_message"
    __table_args__ = (UniqueConstraint("connection_id", "external_id"),)

    connection_id: Mapped[UUID]
    external_id: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(default=clock.now)
    handled_at: Mapped[datetime | None]


class StreamCursor(Identified, Base):
    """Where the pull of a stream stands. Saved in the transaction that saves the page it is true for.

    full_read: the last complete read from the beginning, where absence from it means deleted; it is named by the fence
    that it had. vanished: how many records it did not show, where that is more than the guard allows, until a person
    has said what that means; vanished_are_gone: that they were deleted, which is noted by the next run.
    """

    __tablename__ = "stream_cursor"
    __table_args__ = (UniqueConstraint("connection_id", "kind"),)

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    cursor: Mapped[dict[str, Any] | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    pulled_at: Mapped[datetime | None]
    full_read: Mapped[int] = mapped_column(default=0, server_default="0")
    full_read_at: Mapped[datetime | None]
    vanished: Mapped[int] = mapped_column(default=0, server_default="0")
    vanished_are_gone: Mapped[bool] = mapped_column(default=False, server_default="0")


class Backfill(Identified, Base):
    """The past of a stream being read, from a day on: where it stands, and whose it is at this moment.

    run_id: the run that all its slices belong to. reached_at: the latest change that was read, where they tell.
    due_at: not before, after a failure. ended_at: when all of it was read, or a person cancelled it.
    """

    __tablename__ = "backfill"
    __table_args__ = (UniqueConstraint("connection_id", "kind"),)

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    from_on: Mapped[date]
    actor: Mapped[str]
    run_id: Mapped[UUID]
    cursor: Mapped[dict[str, Any] | None]
    reached_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime] = mapped_column(default=clock.now)
    ended_at: Mapped[datetime | None]


class MatchCase(Identified, Base):
    """A record that has near matches on the other side: nothing is written of it until a person has settled it.

    direction: "in" for one of theirs (candidates are ours), "out" for one of ours (candidates are theirs).
    decision: link, create or ignore; chosen: the candidate, for link.
    """

    __tablename__ = "match_case"
    __table_args__ = (
        UniqueConstraint("connection_id", "kind", "direction", "remote_id"),
        UniqueConstraint("connection_id", "kind", "direction", "record_id", "part"),
    )

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    direction: Mapped[str]
    remote_id: Mapped[str | None]
    record_id: Mapped[UUID | None]
    part: Mapped[str] = mapped_column(default="")
    label: Mapped[str]
    candidates: Mapped[list[Any]]
    decision: Mapped[str | None]
    chosen: Mapped[str | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class RunStatus(StrEnum):
    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL = "partial"
    DEFERRED = "deferred"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STALE = "stale"


class Run(Identified, Base):
    """One piece of work of a connection and what came of it. The counts add up, or the database refuses them.

    adopted records count as unchanged; uncertain, stale and waiting ones as deferred. lease_until: while it goes on,
    kept by its process. lasts: it failed with nothing read, and no look of its kind has gone well since: the next that
    fails so is no news.
    """

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint(
            "records_read = created + updated + unchanged + deleted + rejected + deferred + conflicts",
            name="counts_add_up",
        ),
        Index("ix_run_connection_id_started_at", "connection_id", "started_at"),
        Index("ix_run_lease_until", "lease_until"),
        Index("ix_run_connection_id_lasts", "connection_id", "lasts"),
    )

    connection_id: Mapped[UUID]
    connection_name: Mapped[str]
    direction: Mapped[str]
    kinds: Mapped[list[Any]]
    trigger: Mapped[str]
    actor: Mapped[str]
    status: Mapped[str] = mapped_column(default=RunStatus.RUNNING)
    headline: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime] = mapped_column(default=clock.now)
    ended_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    lasts: Mapped[bool] = mapped_column(default=False, server_default="0")
    resumes_at: Mapped[datetime | None]
    records_read: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    deleted: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    conflicts: Mapped[int] = mapped_column(default=0)
    api_calls: Mapped[int] = mapped_column(default=0)


class RunItem(Identified, Base):
    """What became of one record in one run."""

    __tablename__ = "run_item"
    __table_args__ = (Index("ix_run_item_run_id_id", "run_id", "id"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id"))
    kind: Mapped[str]
    direction: Mapped[str]
    record_id: Mapped[UUID | None] = mapped_column(index=True)
    remote_id: Mapped[str | None] = mapped_column(index=True)
    label: Mapped[str]
    outcome: Mapped[str]
    reason: Mapped[str] = mapped_column(Text, default="")
    field: Mapped[str] = mapped_column(default="")
    remedy: Mapped[str] = mapped_column(Text, default="")
    differences: Mapped[dict[str, Any] | None]
    happened_at: Mapped[datetime] = mapped_column(default=clock.now)


class PlanState(StrEnum):
    """making: not worked out yet. ready: it can be looked at, and applied until it expires. failed: see its reason.

    applying: what was chosen of it is being done, or will be as soon as a worker can.
    """

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"
    APPLYING = "applying"


class Plan(Identified, Base):
    """What a dry run would do, applicable as it stands until it expires.

    kinds: the streams it is about; direction: push, pull or (empty) both. account_id, environment: what it was made
    against. digest: over all its items. counts: how many of each action, by direction and stream. totals: of the
    documents that would go out, by currency. calls: how many calls applying it takes, about. wish: how it is to be
    applied, kept for the worker. lease_until: while somebody makes or applies it. run_id: the run that applied it last.
    anew: of a plan that mends differences, the records of ours it is about, by stream, each with whether it is gone
    over there: they go out in full, whatever was sent of them last.
    """

    __tablename__ = "plan"
    __table_args__ = (Index("ix_plan_connection_id_id", "connection_id", "id"),)

    connection_id: Mapped[UUID]
    kinds: Mapped[list[Any]]
    direction: Mapped[str] = mapped_column(default="")
    anew: Mapped[dict[str, Any] | None]
    state: Mapped[str] = mapped_column(default=PlanState.MAKING)
    reason: Mapped[str] = mapped_column(Text, default="")
    account_id: Mapped[str | None]
    environment: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(default="")
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    totals: Mapped[dict[str, Any]] = mapped_column(default=dict)
    calls: Mapped[int] = mapped_column(default=0)
    wish: Mapped[dict[str, Any] | None]
    lease_until: Mapped[datetime | None]
    run_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    actor: Mapped[str]


class PlanItem(Identified, Base):
    """One change of a plan, bound to our revision, their version and the body.

    direction: "push" or "pull". action: create, update, delete, adopt, conflict; or what the plan cannot do: ask (a
    person has to match it), wait, refuse. differences: per field what is there and what would be. body: as it would be
    sent. needs: the records that the plan creates before it. status: planned, chosen, or what became of it; note: why.
    """

    __tablename__ = "plan_item"
    __table_args__ = (
        Index("ix_plan_item_plan_id_id", "plan_id", "id"),
        Index("ix_plan_item_plan_id_remote_id", "plan_id", "remote_id"),
        Index("ix_plan_item_plan_id_record_id", "plan_id", "record_id"),
    )

    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plan.id"))
    kind: Mapped[str]
    direction: Mapped[str]
    action: Mapped[str]
    label: Mapped[str]
    record_id: Mapped[UUID | None]
    part: Mapped[str] = mapped_column(default="")
    remote_id: Mapped[str | None]
    revision: Mapped[int | None]
    remote_version: Mapped[str | None]
    differences: Mapped[dict[str, Any]]
    body: Mapped[dict[str, Any] | None]
    needs: Mapped[list[Any]]
    reason: Mapped[str] = mapped_column(Text, default="")
    field: Mapped[str] = mapped_column(default="")
    amount: Mapped[Decimal | None] = mapped_column(Amount())
    currency: Mapped[str | None]
    document_on: Mapped[date | None]
    status: Mapped[str] = mapped_column(default="planned")
    note: Mapped[str] = mapped_column(Text, default="")


class DayQuota(Identified, Base):
    """Calls spent of a vendor's daily allowance, corrected by the vendor's own figures."""

    __tablename__ = "day_quota"
    __table_args__ = (UniqueConstraint("account", "limit_class", "day_on"),)

    account: Mapped[str]
    limit_class: Mapped[str]
    day_on: Mapped[date]
    spent: Mapped[int] = mapped_column(default=0)
    allowed: Mapped[int | None]


class Lease(Base):
    """Something only one process does at a time: the scheduler."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    lease_until: Mapped[datetime | None]
