"""First matching: which of theirs is which of ours, before anything is created on either side.

One exact match is adopted. Several, or near ones, make a case for a person; nothing is written of that record until it
is settled, and the rest of the stream goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import circumstances
from hub.core.errors import ConfigurationFailure, ConnectorError, NotFound, RuleBroken
from hub.core.kinds import Candidate, RecordKind
from hub.core.outbox import Link
from hub.sync.claim import heartbeat, release, write
from hub.sync.connector import Change, Found, Op, Sending, Status, Stream
from hub.sync.hints import leave_hint
from hub.sync.models import Attempt, MatchCase
from hub.sync.prepare import Prepared
from hub.sync.runs import Item, RunLog
from hub.sync.settle import ignore, pause, wake_children

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

log = structlog.get_logger("hub.sync")

DECISIONS = ("link", "create", "ignore")
ASK_AGAIN_S = 1.0
"""How long a record stays put while another one, which may look like it, is being created over there."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What matching says of one change: the record to adopt, a new one (both None), or a case for a person."""

    record_id: UUID | None = None
    case: Sequence[Candidate] = ()
    ignored: bool = False


# Coming in ------------------------------------------------------------------------------------------------------------


def match_changes(
    session: Session, opened: Opened, kind: str, changes: Sequence[tuple[Change, dict[str, Any]]]
) -> list[Verdict]:
    """What to do with changes no link knows, each with its values (references resolved), in one go."""
    known = circumstances(session).kinds[kind]
    decided = _decided(session, opened.id, kind, [change.remote_id for change, _ in changes])
    wanted = [{**values, **change.match} for change, values in changes]
    candidates = known.match(session, wanted, ~_is_linked(opened.id, known)) if known.match else [()] * len(wanted)
    taken: set[UUID] = set()
    verdicts: list[Verdict] = []
    for position, (change, _) in enumerate(changes):
        case = decided.get(change.remote_id)
        if case is not None:
            verdicts.append(_by_decision(case))
            continue
        free = [item for item in candidates[position] if item.record_id not in taken]
        exact = [item for item in free if item.exact]
        if len(exact) == 1:
            taken.add(exact[0].record_id)
            verdicts.append(Verdict(record_id=exact[0].record_id))
        else:
            verdicts.append(Verdict(case=free))
    return verdicts


def open_case(session: Session, opened: Opened, change: Change, candidates: Sequence[Candidate]) -> None:
    """Ask a person about one of theirs; asked once."""
    case = session.scalar(
        select(MatchCase).where(
            MatchCase.connection_id == opened.id,
            MatchCase.kind == change.kind,
            MatchCase.direction == "in",
            MatchCase.remote_id == change.remote_id,
        )
    )
    if case is None:
        case = MatchCase(
            connection_id=opened.id, kind=change.kind, direction="in", remote_id=change.remote_id, label=change.label
        )
        session.add(case)
    case.label = change.label
    case.candidates = [
        {"id": str(item.record_id), "label": item.label, "score": item.score, "why": item.why} for item in candidates
    ]


def _decided(session: Session, connection_id: UUID, kind: str, remote_ids: Sequence[str]) -> dict[str, MatchCase]:
    cases = session.scalars(
        select(MatchCase).where(
            MatchCase.connection_id == connection_id,
            MatchCase.kind == kind,
            MatchCase.direction == "in",
            MatchCase.remote_id.in_(remote_ids),
            MatchCase.decision.is_not(None),
        )
    )
    return {str(case.remote_id): case for case in cases}


def _by_decision(case: MatchCase) -> Verdict:
    if case.decision == "link" and case.chosen:
        return Verdict(record_id=UUID(case.chosen))
    return Verdict(ignored=case.decision == "ignore")


def _is_linked(connection_id: UUID, kind: RecordKind) -> ColumnElement[bool]:
    """Whether one of our records is known to be one of theirs, so that it is no other one."""
    return exists().where(
        Link.connection_id == connection_id,
        Link.kind == kind.name,
        Link.record_id == kind.model.id,
        Link.remote_id.is_not(None),
    )


# Going out ------------------------------------------------------------------------------------------------------------


def settle_before_create(
    hub: Hub, opened: Opened, stream: Stream, prepared: Sequence[Prepared], run: RunLog
) -> list[Prepared]:
    """Look for what is about to be created where names are taken once. Returns what may be sent."""
    creates = [item for item in prepared if item.op == Op.CREATE] if stream.find_first else []
    with hub.read() as session:
        decided = decided_anew(session, opened.id, stream.kind, [item.link for item in creates])
    asked = [item for item in creates if (item.link.record_id, item.link.part) not in decided]
    if not asked:
        return list(prepared)
    sendings = [Sending(str(n), "", Op.CREATE, item.body, item.label) for n, item in enumerate(asked)]
    try:
        with heartbeat(hub, [item.link for item in prepared]), opened.breaker.call():
            found = list(opened.connector.find(stream.kind, sendings))
    except Exception as failure:
        # Without a look nothing may be created; the reason is said, and it is tried again.
        reason = str(failure)
        if not isinstance(failure, ConnectorError):
            log.error("connector failed", connection=opened.name, error=repr(failure), exc_info=failure)
            reason = f"The connector failed with {type(failure).__name__}; the details are in the log."
        _put_off(hub, [item.link for item in asked], run, reason)
        if isinstance(failure, ConfigurationFailure):
            raise  # it would fare the same every time: a person is needed
        run.resumes_at = getattr(failure, "resets_at", None) or pause(0)
        return [item for item in prepared if item not in asked]
    by_item = {id(item): [f for f in found if f.ref == str(n)] for n, item in enumerate(asked)}
    kept = hub.transact(lambda session: _sort_out(session, opened, stream, asked, by_item, run))
    return [item for item in prepared if item not in asked or item in kept]


def decided_anew(
    session: Session, connection_id: UUID, kind: str, links: Sequence[Link]
) -> set[tuple[UUID | None, str]]:
    """The records, with their part, that a person decided to create anew."""
    rows = session.execute(
        select(MatchCase.record_id, MatchCase.part).where(
            MatchCase.connection_id == connection_id,
            MatchCase.kind == kind,
            MatchCase.direction == "out",
            MatchCase.record_id.in_([link.record_id for link in links]),
            MatchCase.decision == "create",
        )
    )
    return {(row.record_id, row.part) for row in rows}


def linked_there(session: Session, connection_id: UUID, kind: str, remote_ids: Sequence[str]) -> set[str]:
    """Which of these records over there have a link already."""
    rows = session.scalars(
        select(Link.remote_id).where(
            Link.connection_id == connection_id, Link.kind == kind, Link.remote_id.in_(remote_ids)
        )
    )
    return {remote_id for remote_id in rows if remote_id is not None}


def _sort_out(
    session: Session,
    opened: Opened,
    stream: Stream,
    asked: Sequence[Prepared],
    found: Mapping[int, Sequence[Found]],
    run: RunLog,
) -> list[Prepared]:
    # What is over there may be a record of ours whose create has no answer yet. This is asked before the links are
    # read: whichever create ends in between is then either among the open ones or among the links.
    is_open = has_open_create(session, opened.id, stream.kind)
    remote_ids = [item.remote_id for items in found.values() for item in items]
    taken = linked_there(session, opened.id, stream.kind, remote_ids)
    kept: list[Prepared] = []
    items: list[Item] = []
    for item in asked:
        free = [other for other in found[id(item)] if other.remote_id not in taken]
        ours = [other for other in free if other.ours]
        if free and is_open:
            _ask_again(session, item.link)
        elif len(ours) == 1:
            taken.add(ours[0].remote_id)
            items.append(_adopt(session, stream, item, ours[0]))
        elif free:
            items.append(_ask(session, opened, stream, item, free))
        else:
            kept.append(item)
    run.count(session, items)
    return kept


def _ask_again(session: Session, link: Link) -> None:
    """In a moment; if the create that is under way takes longer, after pauses that grow to half a minute."""
    if link.failures == 0:
        write(session, link, lease_until=database_now(plus_s=ASK_AGAIN_S), failures=1)
    else:
        write(session, link, lease_until=None, due_at=pause(min(link.failures, 4)), failures=link.failures + 1)


def has_open_create(session: Session, connection_id: UUID, kind: str) -> bool:
    """Whether a record of this kind is being created over there, and its answer is not here yet."""
    open_create = (
        select(Link.id)
        .join(Attempt, Attempt.id == Link.attempt_id)
        .where(Link.connection_id == connection_id, Link.kind == kind, Attempt.op == Op.CREATE)
    )
    return session.scalar(open_create.limit(1)) is not None


def _adopt(session: Session, stream: Stream, item: Prepared, found: Found) -> Item:
    """It is there already. What we would have sent counts as agreed; later changes of it go out."""
    link = item.link
    write(
        session,
        link,
        remote_id=found.remote_id,
        remote_version=found.remote_version,
        sent=item.mapped,
        done=link.wanted,
        revision=item.revision,
        lease_until=None,
        label=item.label,
        failures=0,
    )
    wake_children(session, [link.id])
    reason = f"It is there already ({found.why or found.label})."
    return Item(stream.kind, "push", Status.UNCHANGED, item.label, link.record_id, found.remote_id, reason)


def _ask(session: Session, opened: Opened, stream: Stream, item: Prepared, found: Sequence[Found]) -> Item:
    link = item.link
    case = session.scalar(
        select(MatchCase).where(
            MatchCase.connection_id == opened.id,
            MatchCase.kind == stream.kind,
            MatchCase.direction == "out",
            MatchCase.record_id == link.record_id,
            MatchCase.part == link.part,
        )
    )
    if case is None:
        case = MatchCase(
            connection_id=opened.id,
            kind=stream.kind,
            direction="out",
            record_id=link.record_id,
            part=link.part,
            label=item.label,
        )
        session.add(case)
    case.decision = case.chosen = case.decided_by = case.decided_at = None  # asked anew
    case.candidates = [
        {"id": other.remote_id, "label": other.label, "score": other.score, "why": other.why} for other in found
    ]
    write(session, link, held=True, lease_until=None, label=item.label)
    names = ", ".join(f"“{other.label}”" for other in found[:3])
    reason = f"Over there is {names}: say whether it is the same (`hub match list {opened.name}`)."
    return Item(stream.kind, "push", Status.DEFERRED, item.label, link.record_id, None, reason)


def _put_off(hub: Hub, links: Sequence[Link], run: RunLog, reason: str) -> None:
    def work(session: Session) -> None:
        for link in links:
            release(session, [link], due_at=pause(link.failures), failures=link.failures + 1)

    hub.transact(work)
    for link in links:
        run.waiting[link.id] = Item(link.kind, "push", Status.DEFERRED, link.label, link.record_id, reason=reason)


# For people -----------------------------------------------------------------------------------------------------------


def open_cases(session: Session, connection_id: UUID) -> list[MatchCase]:
    """What a person has to settle, oldest first."""
    query = select(MatchCase).where(MatchCase.connection_id == connection_id, MatchCase.decision.is_(None))
    return list(session.scalars(query.order_by(MatchCase.kind, MatchCase.id)))


def settle_case(
    session: Session, case_id: UUID, decision: str, *, chosen: str | None = None, actor: str = "system"
) -> MatchCase:
    """Link to a candidate (the best, unless chosen), create a new record, or ignore. Raises NotFound, RuleBroken."""
    case = session.get(MatchCase, case_id, with_for_update=True)
    if case is None:
        raise NotFound(f"There is no match with id {case_id}.")
    if decision not in DECISIONS:
        raise RuleBroken(f"“{decision}” is no decision.", fields={"decision": f"use {', '.join(DECISIONS)}"})
    if decision == "link":
        chosen = chosen or _best(case)
        if not _is_candidate(case, chosen):
            raise RuleBroken(
                f"{chosen} is not among the candidates of “{case.label}”.", fields={"chosen": "use a candidate's id"}
            )
        _refuse_taken(session, case, chosen)
    case.decision, case.chosen = decision, chosen if decision == "link" else None
    case.decided_by, case.decided_at = actor, clock.now()
    if case.direction == "in":
        # Fetched anew, so that the decision takes effect on what it is now.
        leave_hint(session, case.connection_id, case.kind, str(case.remote_id), "settled by a person")
    else:
        _let_go(session, case)
    return case


def accept_all(session: Session, connection_id: UUID, *, actor: str = "system") -> int:
    """Link every case that has one best candidate, which no other record has or wants. Returns how many."""
    cases = [case for case in open_cases(session, connection_id) if _has_one_best(case)]
    wanted = Counter((case.kind, case.direction, _best(case)) for case in cases)
    count = 0
    for case in cases:
        if wanted[case.kind, case.direction, _best(case)] > 1:
            continue
        with suppress(RuleBroken):
            settle_case(session, case.id, "link", actor=actor)
            count += 1
    return count


def _has_one_best(case: MatchCase) -> bool:
    scores = sorted((item["score"] for item in case.candidates), reverse=True)
    return bool(scores) and (len(scores) == 1 or scores[0] > scores[1])


def _best(case: MatchCase) -> str:
    best = max(case.candidates, key=lambda item: item["score"], default=None)
    if best is None:
        raise RuleBroken(f"“{case.label}” has no candidates.", fields={"chosen": "say what to link it to"})
    return str(best["id"])


def _is_candidate(case: MatchCase, chosen: str) -> bool:
    return any(str(item["id"]) == chosen for item in case.candidates)


def _refuse_taken(session: Session, case: MatchCase, chosen: str) -> None:
    """Two records on one side that are one on the other would overwrite each other for ever."""
    there, here = (Link.remote_id == chosen, Link.record_id != case.record_id)
    if case.direction == "in":
        there, here = (Link.record_id == UUID(chosen), Link.remote_id != case.remote_id)
    taken = select(Link).where(Link.connection_id == case.connection_id, Link.kind == case.kind, there, here)
    other = session.scalar(taken.where(Link.tombstone_at.is_(None)).limit(1))
    if other is not None:
        raise RuleBroken(
            f"That is linked already: “{other.label}” is {other.remote_id} over there. Unlink it first "
            f"(`hub link unlink {other.id}`), or create “{case.label}” anew.",
            fields={"chosen": "is linked to another record"},
        )


def _let_go(session: Session, case: MatchCase) -> None:
    link = session.scalar(
        select(Link)
        .where(Link.connection_id == case.connection_id, Link.kind == case.kind)
        .where(Link.record_id == case.record_id, Link.part == case.part)
        .with_for_update()
    )
    if link is None:
        return
    link.held, link.due_at = False, None
    if case.decision == "link":
        link.remote_id, link.sent, link.wanted = case.chosen, None, link.wanted + 1
        wake_children(session, [link.id])
    elif case.decision == "ignore":
        ignore(session, link, "A person decided not to send it.")
