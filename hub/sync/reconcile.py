"""Is every document equal to the cent on both sides? Read only, on both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from hub.core.kinds import HubDocument
from hub.core.money import ZERO
from hub.core.outbox import Link, creates
from hub.sync.connections import Opened, open_connection
from hub.sync.connector import StatementLine

if TYPE_CHECKING:
    from hub.bootstrap import Hub


class Verdict(StrEnum):
    MATCHED = "matched"
    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    AMOUNT_DIFFERS = "amount_differs"
    TAX_DIFFERS = "tax_differs"
    PAID_DIFFERS = "paid_differs"


@dataclass(frozen=True, slots=True)
class Row:
    """One document on both sides. ours and theirs: the total; the taxes and open amounts beside them."""

    kind: str
    number: str
    label: str
    on: date
    verdict: Verdict
    currency: str
    ours: Decimal | None
    theirs: Decimal | None
    our_tax: Decimal | None = None
    their_tax: Decimal | None = None
    our_open: Decimal | None = None
    their_open: Decimal | None = None
    record_id: UUID | None = None
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of one kind and currency over the hub's documents; only_there: what the hub knows nothing of."""

    kind: str
    currency: str
    count: int
    ours: Decimal
    theirs: Decimal
    our_tax: Decimal
    their_tax: Decimal
    only_there: Decimal


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Every document of the hub's that the connection is for, and what the other side holds of it."""

    connection: str
    rows: tuple[Row, ...]
    totals: tuple[Total, ...]

    @property
    def equal(self) -> bool:
        """To the cent; documents of the other side that the hub knows nothing of do not count."""
        return all(row.verdict in (Verdict.MATCHED, Verdict.MISSING_HERE) for row in self.rows)


def reconcile(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    from_on: date | None = None,
    to_on: date | None = None,
) -> Reconciliation:
    """Compare documents dated in a period (all of them unless said). Raises ConnectorError, NotFound."""
    opened = open_connection(hub, connection_id)
    for kind in kinds or ():
        opened.stream(kind)
    compared = [
        kind
        for kind in opened.subscriptions
        if hub.kinds[kind].documents is not None and (kinds is None or kind in kinds)
    ]
    rows: list[Row] = []
    for kind in compared:
        with opened.breaker.call():
            theirs = {line.remote_id: line for line in opened.connector.statement(kind, from_on, to_on)}
        rows += _rows(hub, opened, kind, theirs, from_on, to_on)
    return Reconciliation(opened.name, tuple(rows), tuple(_totals(rows)))


def _rows(
    hub: Hub,
    opened: Opened,
    kind: str,
    theirs: dict[str, StatementLine],
    from_on: date | None,
    to_on: date | None,
) -> list[Row]:
    ours, remote_ids = _ours(hub, opened, kind, set(theirs), from_on, to_on)
    rows = [_row(kind, document, theirs.get(remote_ids.get(document.record_id, ""))) for document in ours]
    known = set(remote_ids.values())
    rows += [_only_there(kind, line) for line in theirs.values() if line.remote_id not in known and not line.voided]
    return rows


def _ours(
    hub: Hub, opened: Opened, kind: str, shown: set[str], from_on: date | None, to_on: date | None
) -> tuple[Sequence[HubDocument], dict[UUID, str]]:
    """Our documents that belong over there: those with a link, and those that may be created."""
    record_kind, subscription = hub.kinds[kind], opened.subscriptions[kind]
    with hub.read() as session:
        links = session.execute(
            select(Link.record_id, Link.remote_id).where(Link.connection_id == opened.id, Link.kind == kind)
        ).all()
        remote_ids = {row.record_id: row.remote_id for row in links if row.record_id and row.remote_id}
        belongs = {row.record_id for row in links}
        if subscription.pushes:
            belongs |= set(session.scalars(select(record_kind.model.id).where(*creates(record_kind, subscription))))
        assert record_kind.documents is not None
        documents = record_kind.documents(session, None, from_on, to_on)
    return [document for document in documents if document.record_id in belongs], remote_ids


def _row(kind: str, ours: HubDocument, theirs: StatementLine | None) -> Row:
    return Row(
        kind=kind,
        number=ours.number,
        label=ours.label,
        on=ours.dated_on,
        verdict=_verdict(ours, theirs),
        currency=ours.currency,
        ours=ours.total,
        theirs=theirs.total if theirs else None,
        our_tax=ours.tax,
        their_tax=theirs.tax if theirs else None,
        our_open=ours.open,
        their_open=theirs.open if theirs else None,
        record_id=ours.record_id,
        remote_id=theirs.remote_id if theirs else None,
    )


def _only_there(kind: str, line: StatementLine) -> Row:
    return Row(
        kind=kind,
        number=line.number,
        label=line.label,
        on=line.on,
        verdict=Verdict.MISSING_HERE,
        currency=line.currency,
        ours=None,
        theirs=line.total,
        their_tax=line.tax,
        their_open=line.open,
        remote_id=line.remote_id,
    )


def _verdict(ours: HubDocument, theirs: StatementLine | None) -> Verdict:
    if theirs is None:
        return Verdict.MISSING_THERE
    if ours.total != theirs.total or ours.currency != theirs.currency:
        return Verdict.AMOUNT_DIFFERS
    if ours.tax != theirs.tax:
        return Verdict.TAX_DIFFERS
    if theirs.open is not None and ours.open != theirs.open:
        return Verdict.PAID_DIFFERS
    return Verdict.MATCHED


def _totals(rows: Iterable[Row]) -> list[Total]:
    listed = list(rows)
    totals: list[Total] = []
    for kind, currency in sorted({(row.kind, row.currency) for row in listed}):
        mine = [row for row in listed if (row.kind, row.currency) == (kind, currency)]
        both = [row for row in mine if row.verdict != Verdict.MISSING_HERE]
        totals.append(
            Total(
                kind=kind,
                currency=currency,
                count=len(both),
                ours=_sum(row.ours for row in both),
                theirs=_sum(row.theirs for row in both),
                our_tax=_sum(row.our_tax for row in both),
                their_tax=_sum(row.their_tax for row in both),
                only_there=_sum(row.theirs for row in mine if row.verdict == Verdict.MISSING_HERE),
            )
        )
    return totals


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), ZERO)
