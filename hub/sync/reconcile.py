"""Is every document equal to the cent on both sides? Read only, on both.

A connection that only reads runs in the shadow of people who enter the same documents over there by hand. What the hub
would have sent is compared with what they entered: recognised by its number, else by client, date and total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import select

from hub.core.clients.rules import normalised_name
from hub.core.kinds import HubDocument
from hub.core.money import ZERO, money_text
from hub.core.outbox import Link, creates
from hub.sync.connections import Opened, open_connection
from hub.sync.connector import StatementLine
from hub.sync.models import ConnectionState

if TYPE_CHECKING:
    from hub.bootstrap import Hub


class Verdict(StrEnum):
    MATCHED = "matched"
    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    AMOUNT_DIFFERS = "amount_differs"
    TAX_DIFFERS = "tax_differs"
    PAID_DIFFERS = "paid_differs"


T = TypeVar("T")

_AT_ONCE = 500
_MENDED_BY_SENDING = (Verdict.MISSING_THERE, Verdict.AMOUNT_DIFFERS, Verdict.TAX_DIFFERS)


@dataclass(frozen=True, slots=True)
class Row:
    """One document on both sides. ours and theirs: the total; the taxes and open amounts beside them.

    remote_id: what it is called over there, or was, if it is missing there. recognised: by what a document that the hub
    did not send is taken for ours. reason and remedy: of one that differs.
    """

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
    recognised: str = ""
    reason: str = ""
    remedy: str = ""

    @property
    def differs(self) -> bool:
        """To the cent; what the hub knows nothing of is no difference."""
        return self.verdict not in (Verdict.MATCHED, Verdict.MISSING_HERE)


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
        return not any(row.differs for row in self.rows)

    def mendable(self) -> dict[str, dict[UUID, bool]]:
        """What a plan can send again to make both sides equal (`hub.sync.plan.Anew`)."""
        found: dict[str, dict[UUID, bool]] = {}
        for row in self.rows:
            if row.verdict in _MENDED_BY_SENDING and row.record_id is not None and not row.recognised:
                is_gone = row.verdict == Verdict.MISSING_THERE and row.remote_id is not None
                found.setdefault(row.kind, {})[row.record_id] = is_gone
        return found


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
        rows += _explained(hub, opened, _rows(hub, opened, kind, theirs, from_on, to_on))
    return Reconciliation(opened.name, tuple(rows), tuple(_totals(rows)))


def _rows(
    hub: Hub,
    opened: Opened,
    kind: str,
    theirs: dict[str, StatementLine],
    from_on: date | None,
    to_on: date | None,
) -> list[Row]:
    ours, remote_ids = our_documents(hub, opened, kind, from_on, to_on)
    rows: list[Row] = []
    known = set(remote_ids.values())
    free = [line for line in theirs.values() if line.remote_id not in known and not line.voided]
    shadows = _shadows(ours, remote_ids, free) if opened.state == ConnectionState.READ_ONLY else {}
    for document in ours:
        remote_id, by = shadows.get(document.record_id, (remote_ids.get(document.record_id), ""))
        rows.append(_row(kind, document, remote_id, theirs, by))
    taken = {remote_id for remote_id, _ in shadows.values()}
    rows += [_only_there(kind, line) for line in free if line.remote_id not in taken]
    return rows


def _shadows(
    ours: Sequence[HubDocument], remote_ids: Mapping[UUID, str], free: Sequence[StatementLine]
) -> dict[UUID, tuple[str, str]]:
    """Which documents that others entered are ours: by number, else the only one of its client, date and total.

    By record, what it is called over there and what it was recognised by.
    """
    found: dict[UUID, tuple[str, str]] = {}
    rest, left = [each for each in ours if each.record_id not in remote_ids], list(free)
    for by, of_ours, of_theirs in _SIGNS:
        here, there = _by_sign(rest, of_ours), _by_sign(left, of_theirs)
        pairs = [(here[sign][0], there[sign][0]) for sign in here if len(here[sign]) == len(there.get(sign, ())) == 1]
        found |= {document.record_id: (line.remote_id, by) for document, line in pairs}
        taken = {line.remote_id for _, line in pairs}
        rest = [each for each in rest if each.record_id not in found]
        left = [line for line in left if line.remote_id not in taken]
    return found


def _by_sign(documents: Iterable[T], sign_of: Callable[[T], tuple[Any, ...]]) -> dict[tuple[Any, ...], list[T]]:
    found: dict[tuple[Any, ...], list[T]] = {}
    for document in documents:
        sign = sign_of(document)
        if all(sign):
            found.setdefault(sign, []).append(document)
    return found


_SIGNS: tuple[tuple[str, Callable[[HubDocument], tuple[Any, ...]], Callable[[StatementLine], tuple[Any, ...]]], ...] = (
    ("number", lambda ours: (ours.number,), lambda theirs: (theirs.number,)),
    (
        "client, date and total",
        lambda ours: (normalised_name(ours.label), ours.dated_on, ours.currency, ours.total),
        lambda theirs: (normalised_name(theirs.label), theirs.on, theirs.currency, theirs.total),
    ),
)


def our_documents(
    hub: Hub, opened: Opened, kind: str, from_on: date | None = None, to_on: date | None = None
) -> tuple[Sequence[HubDocument], dict[UUID, str]]:
    """Our documents that belong over there, and what they are called there by record.

    Those with a link belong there, and those that may be created.
    """
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


def _row(
    kind: str, ours: HubDocument, remote_id: str | None, statement: Mapping[str, StatementLine], recognised: str
) -> Row:
    theirs = statement.get(remote_id or "")
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
        remote_id=remote_id,
        recognised=recognised,
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


# Why, and what to do --------------------------------------------------------------------------------------------------


def _explained(hub: Hub, opened: Opened, rows: Sequence[Row]) -> list[Row]:
    """The rows of one stream, those that differ with a reason and a remedy."""
    ids = [row.record_id for row in rows if row.differs]
    links: dict[UUID | None, Link] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        query = select(Link).where(Link.connection_id == opened.id, Link.record_id.in_(some), Link.part == "")
        with hub.read() as session:
            links |= {link.record_id: link for link in session.scalars(query) if link.kind == rows[0].kind}
    return [_with_reason(opened, row, links.get(row.record_id)) if row.differs else row for row in rows]


def _with_reason(opened: Opened, row: Row, link: Link | None) -> Row:
    pushes = opened.subscriptions[row.kind].pushes
    if row.recognised:
        what = {Verdict.TAX_DIFFERS: "tax", Verdict.PAID_DIFFERS: "paid amount"}.get(row.verdict, "total")
        reason = f"It was entered over there by others, recognised by its {row.recognised}, with another {what}."
        return replace(row, reason=reason, remedy="See who is right, and mend that side.")
    if row.verdict == Verdict.MISSING_THERE:
        reason, remedy = _why_missing(opened, link, pushes=pushes)
    elif row.verdict == Verdict.PAID_DIFFERS:
        reason, remedy = _why_paid_differs(opened, row)
    else:
        what = "tax" if row.verdict == Verdict.TAX_DIFFERS else "total"
        reason, remedy = _why_different(opened, link, what, pushes=pushes)
    return replace(row, reason=reason, remedy=remedy)


def _why_missing(opened: Opened, link: Link | None, *, pushes: bool) -> tuple[str, str]:
    if not pushes:
        return "It is here only: this connection reads this stream, and does not write it.", "Enter it over there."
    if opened.state == ConnectionState.READ_ONLY and (link is None or link.remote_id is None):
        return (
            "The hub would have created it, and nobody entered it over there.",
            "It goes out once the hub writes there.",
        )
    if link is None:
        return "Nothing is owed of it yet.", "The next run owes it, and sends it."
    if link.ignored is not None:
        return f"A person decided not to send it: {link.ignored}", "Retry it, if it is to be sent after all."
    if link.parked is not None:
        return f"It was refused: {link.parked}", link.parked_remedy or "Mend what is wrong with it, then retry it."
    if link.remote_id is not None and link.wanted == link.done:
        gone = f"It was sent as {link.remote_id}, and is not there any more, or with another date."
        return gone, "Look over there; a plan can send it once more."
    if link.held:
        return "It is held back until a plan with it is applied.", "Make a plan, and apply it."
    if link.waiting_for is not None:
        return "It waits for a record that has to be there before it.", "Mend what that one waits for."
    return "It is owed, and was not sent yet.", _sent_by(opened)


def _why_different(opened: Opened, link: Link | None, what: str, *, pushes: bool) -> tuple[str, str]:
    if link is not None and link.wanted > link.done:
        return f"The {what} was changed here, and that was not sent yet.", _sent_by(opened)
    or_ours = ", or send ours once more with a plan" if pushes else ""
    return f"The {what} was changed over there.", f"Change it back over there{or_ours}."


def _why_paid_differs(opened: Opened, row: Row) -> tuple[str, str]:
    ours, theirs = (row.ours or ZERO) - (row.our_open or ZERO), (row.theirs or ZERO) - (row.their_open or ZERO)
    more = money_text(abs(ours - theirs), row.currency)
    if theirs > ours:
        reason = f"{more} {row.currency} of what was paid is known over there only."
        if (row.our_open or ZERO) < abs(ours - theirs):
            return reason, "More was paid than is open here: correct the payment over there, or credit the client here."
        return reason, "It comes in with the next run."
    return (
        f"{more} {row.currency} of what was paid is known here only.",
        "Enter that payment over there, or undo it here.",
    )


def _sent_by(opened: Opened) -> str:
    if opened.may_write:
        return "It goes out with the next run."
    return f"The connection does not write ({opened.state}): let it write first."


# Sums -----------------------------------------------------------------------------------------------------------------


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
