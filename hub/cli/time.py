"""`hub time`: approving time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import click
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import end_partly, json_option, plural, print_record, progress
from hub.cli.session import ACTOR, pass_hub
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import NotFound, RuleBroken
from hub.core.timesheets.service import submit_and_approve, unapproved_ids


@click.group()
def time() -> None:
    """Approve time."""


@time.command("approve")
@click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All time that is not approved yet.")
@json_option
@pass_hub
def approve_command(hub: Hub, ids: tuple[UUID, ...], everything: bool, as_json: bool) -> None:
    """Approve time entries, so that they can be billed. What is refused is named; the others are approved."""
    if bool(ids) == everything:
        raise click.UsageError("Say which entries to approve, by id, or --all.")
    approved = 0
    refused: list[str] = []
    for some in _unapproved(hub) if everything else _sliced(ids):
        count, reasons = _approve(hub, some)
        approved, refused = approved + count, refused + reasons
        if everything and approved % 2000 == 0:
            progress(f"{approved:,} approved so far ...")
    print_record(
        {"approved": approved, "refused": refused},
        as_json=as_json,
        sentence=f"{plural(approved, 'time entry', 'time entries')} approved.",
    )
    end_partly(approved, refused, as_json=as_json)


def _approve(hub: Hub, ids: Sequence[UUID]) -> tuple[int, list[str]]:
    """Approve a slice at once, or, if one of it is refused, each by itself: how many, and why the others were not."""

    def work(session: Session) -> int:
        return submit_and_approve(session, ids)

    try:
        return hub.transact(work, actor=ACTOR), []
    except (RuleBroken, NotFound) as failure:
        if len(ids) == 1:
            return 0, [f"time entry {ids[0]}: {failure}"]
    approved, refused = 0, list[str]()
    for entry_id in ids:
        count, reasons = _approve(hub, [entry_id])
        approved, refused = approved + count, refused + reasons
    return approved, refused


def _unapproved(hub: Hub) -> Iterator[Sequence[UUID]]:
    """All that waits for approval, in slices. Each starts after the last, so that none is met twice."""
    after: UUID | None = None
    while True:
        with hub.read() as session:
            ids = unapproved_ids(session, after=after, limit=MAX_ROWS_PER_TRANSACTION)
        if not ids:
            return
        yield ids
        after = ids[-1]


def _sliced(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), MAX_ROWS_PER_TRANSACTION):
        yield ids[start : start + MAX_ROWS_PER_TRANSACTION]
