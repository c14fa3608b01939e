"""Runs: one piece of work of a connection, and what came of every record it read.

Counts are saved in the transaction that settles the records they count, so a crash loses none, and the database refuses
counts that do not add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import HubError
from hub.core.outbox import Link, upsert
from hub.sync.claim import beating
from hub.sync.connector import Status
from hub.sync.models import Run, RunItem, RunStatus
from hub.tracing import traced

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

RUN_LEASE_S = 15.0
"""How long after its process ended a run still looks as if it went on."""

_COLUMN = {
    Status.CREATED: "created",
    Status.UPDATED: "updated",
    Status.UNCHANGED: "unchanged",
    Status.DELETED: "deleted",
    Status.REJECTED: "rejected",
    Status.CONFLICT: "conflicts",
    Status.DEFERRED: "deferred",
    Status.UNCERTAIN: "deferred",
}


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one record."""

    kind: str
    direction: str
    status: Status
    label: str = ""
    record_id: UUID | None = None
    remote_id: str | None = None
    reason: str = ""
    field: str = ""
    remedy: str = ""
    differences: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A finished run, as commands and the API show it."""

    id: UUID | None
    connection: str
    status: str
    headline: str
    counts: dict[str, int]
    api_calls: int
    started_at: datetime
    ended_at: datetime | None
    resumes_at: datetime | None = None

    @property
    def ok(self) -> bool:
        return self.status == RunStatus.SUCCESS


@dataclass
class RunLog:
    """A run while it goes on. Its row is written with the first record, so that looking and finding nothing leaves
    none, unless `always` says that somebody asked for this run."""

    hub: Hub
    opened: Opened
    direction: str
    trigger: str
    actor: str
    kinds: Sequence[str]
    id: UUID = field(default_factory=uuid7)
    started_at: datetime = field(default_factory=clock.now)
    written: bool = False
    failure: str = ""
    notice: str = ""
    rest: str = ""
    """What is left to do though this run met no trouble: other workers have it, or it is due later."""
    held_back: str = ""
    """What was not done because it is more than a guard allows."""
    interrupted: bool = False
    cut_short: bool = False
    """Whether the time was up before everything was read."""
    resumes_at: datetime | None = None
    waiting: dict[UUID, Item] = field(default_factory=dict)
    """Links that were put off, for whatever reason; what comes of them within the run counts instead."""
    postponed: dict[tuple[str, str | None], Item] = field(default_factory=dict)
    """Changes that wait for another record, likewise, by stream and remote id."""

    quiet: list[Item] = field(default_factory=list)
    """Changes that were known already, kept until there is something to tell."""

    def open(self) -> None:
        """Write the row now."""
        self.hub.transact(self._write)
        self.written = True

    def count(self, session: Session, items: Sequence[Item]) -> None:
        """Save what became of records, in the transaction that settles them."""
        if not items:
            return
        if not self.written and session.get(Run, self.id) is None:
            self._write(session)
        counted = Counter(_COLUMN[item.status] for item in items)
        session.execute(
            update(Run)
            .where(Run.id == self.id)
            .values(
                records_read=Run.records_read + len(items),
                **{name: getattr(Run, name) + number for name, number in counted.items()},
            )
            .execution_options(synchronize_session=False)
        )
        session.execute(insert(RunItem), [self._row(item) for item in items])

    def count_arrived(self, session: Session, items: Sequence[Item]) -> None:
        """As `count`, for changes coming in: those put off are counted at the end, if they are put off still.

        A scheduled look reads the last minutes once more each time. As long as it finds nothing new it leaves no run.
        """
        arrived = [item for item in items if item.status != Status.DEFERRED]
        if self.written or any(item.status != Status.UNCHANGED for item in arrived):
            self.count(session, [*self.quiet, *arrived])

    def postpone(self, items: Sequence[Item]) -> None:
        """After the transaction of `count_arrived`: remember what was put off, forget what has come."""
        told = self.written or any(item.status not in (Status.UNCHANGED, Status.DEFERRED) for item in items)
        self.quiet = [] if told else [*self.quiet, *(item for item in items if item.status == Status.UNCHANGED)]
        self.written = self.written or told
        for item in items:
            self.postponed.pop((item.kind, item.remote_id), None)
            if item.status == Status.DEFERRED:
                self.postponed[(item.kind, item.remote_id)] = item

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the run, saying so, when it is broken off: by Ctrl-C, by the end of its job's time, or by a fault of
        the hub or its database.
        """
        try:
            with traced(connection=self.opened.name, run=str(self.id)), beating(self.hub, self._stay, RUN_LEASE_S):
                yield
        except KeyboardInterrupt:
            self.interrupted = True
            self._break_off("It was stopped. What had no answer yet is looked up before anything is sent again.")
            raise
        except Exception as failure:
            known = isinstance(failure, HubError)
            self._break_off(
                str(failure) if known else f"It ended with {type(failure).__name__}; the details are in the log."
            )
            raise
        except BaseException:
            self._break_off(
                "It took longer than a job may. What had no answer yet is looked up before it is sent again."
            )
            raise

    def _stay(self, session: Session) -> None:
        session.execute(
            update(Run)
            .where(Run.id == self.id, Run.status == RunStatus.RUNNING)
            .values(lease_until=database_now(plus_s=RUN_LEASE_S))
            .execution_options(synchronize_session=False)
        )

    def _break_off(self, reason: str) -> None:
        self.failure = self.failure or reason
        with suppress(HubError, SQLAlchemyError):  # the database itself may be what failed
            self.finish()

    def finish(self) -> RunSummary:
        """Close the run with the status its counts deserve."""

        def work(session: Session) -> RunSummary:
            left = [*self._still_waiting(session), *self.postponed.values()]
            self.count(session, [*self.quiet, *left] if left else [])
            run = session.get(Run, self.id, with_for_update=True)
            told = self.failure or self.notice
            lasting = self._lasting(session)
            if lasting is not None and (run is not None or lasting.headline != told):
                lasting.lasts, lasting = False, None
            if run is None and (told or self.held_back or self.interrupted):
                run = lasting or self._written(session)
                run.lasts = bool(told)
            if run is None:
                return RunSummary(None, self.opened.name, "success", "", _no_counts(), 0, self.started_at, clock.now())
            run.ended_at, run.lease_until, run.resumes_at = clock.now(), None, self.resumes_at
            run.api_calls += getattr(self.opened.connector.context.http, "calls", 0)
            run.status, run.headline = self._verdict(session, run)
            if self.interrupted:
                run.status = RunStatus.CANCELLED
            return summary(run)

        return self.hub.transact(work)

    def _written(self, session: Session) -> Run:
        self._write(session)
        return session.get_one(Run, self.id)

    def _verdict(self, session: Session, run: Run) -> tuple[RunStatus, str]:
        """Success only if nothing is missing; the headline is the first thing that went wrong."""
        for text, status in (
            (self.failure, RunStatus.FAILED),
            (self.held_back, RunStatus.PARTIAL),
            (self.notice, RunStatus.DEFERRED),
        ):
            if text:
                return status, text
        for names, status in (
            (("rejected", "conflict"), RunStatus.PARTIAL),
            (("uncertain", "deferred"), RunStatus.DEFERRED),
        ):
            first = session.execute(
                select(RunItem.label, RunItem.reason)
                .where(RunItem.run_id == run.id, RunItem.outcome.in_(names))
                .order_by(RunItem.id)
                .limit(1)
            ).one_or_none()
            if first is not None:
                return status, f"{first.label}: {first.reason}" if first.label else first.reason
        return (RunStatus.DEFERRED, self.rest) if self.rest else (RunStatus.SUCCESS, "")

    def _lasting(self, session: Session) -> Run | None:
        """The run of this kind that failed with nothing read, if no look has gone well since.

        A failure that lasts is told once: the next one like it only moves that run's end.
        """
        same_kind = (Run.connection_id == self.opened.id, Run.trigger == self.trigger, Run.direction == self.direction)
        return session.scalar(select(Run).where(*same_kind, Run.lasts.is_(True)).with_for_update())

    def _still_waiting(self, session: Session) -> list[Item]:
        # Those that only wait for another record come last: the headline is the first real trouble.
        query = select(Link).where(Link.id.in_(self.waiting), Link.wanted > Link.done)
        links = session.scalars(query.order_by(Link.waiting_for.is_not(None), Link.id))
        return [
            replace(self.waiting[link.id], status=Status.REJECTED, reason=link.parked)
            if link.parked
            else self.waiting[link.id]
            for link in links
        ]

    def _write(self, session: Session) -> None:
        """Write the row, unless another thread of this run has just done so; a run that had paused goes on."""
        row = upsert(session, Run).values(
            id=self.id,
            connection_id=self.opened.id,
            connection_name=self.opened.name,
            direction=self.direction,
            kinds=list(self.kinds),
            trigger=self.trigger,
            actor=self.actor,
            status=RunStatus.RUNNING,
            started_at=self.started_at,
            lease_until=database_now(plus_s=RUN_LEASE_S),
        )
        goes_on = {"status": row.excluded.status, "lease_until": row.excluded.lease_until, "ended_at": None}
        session.execute(row.on_conflict_do_update(index_elements=["id"], set_=goes_on))

    def _row(self, item: Item) -> dict[str, Any]:
        return {
            "id": uuid7(),
            "run_id": self.id,
            "kind": item.kind,
            "direction": item.direction,
            "record_id": item.record_id,
            "remote_id": item.remote_id,
            "label": item.label,
            "outcome": str(item.status),
            "reason": item.reason,
            "field": item.field,
            "remedy": item.remedy,
            "differences": item.differences,
            "happened_at": clock.now(),
        }


def counts_of(run: Run) -> dict[str, int]:
    """The counts of a run under the names everyone uses."""
    return {
        "read": run.records_read,
        "created": run.created,
        "updated": run.updated,
        "unchanged": run.unchanged,
        "deleted": run.deleted,
        "rejected": run.rejected,
        "deferred": run.deferred,
        "conflicts": run.conflicts,
    }


def summary(run: Run) -> RunSummary:
    return RunSummary(
        id=run.id,
        connection=run.connection_name,
        status=str(run.status),
        headline=run.headline,
        counts=counts_of(run),
        api_calls=run.api_calls,
        started_at=run.started_at,
        ended_at=run.ended_at,
        resumes_at=run.resumes_at,
    )


def _no_counts() -> dict[str, int]:
    return dict.fromkeys(("read", "created", "updated", "unchanged", "deleted", "rejected", "deferred", "conflicts"), 0)
