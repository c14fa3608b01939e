"""`hub time`: approving time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import click
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import json_option, plural, print_record, progress
from hub.cli.session import ACTOR, pass_hub
from hub.core.database import MAX_ROWS_PER_TRANSACTION
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
    """Approve time entries, so that they can be billed."""
    if bool(ids) == everything:
        raise click.UsageError("Say which entries to approve, by id, or --all.")
    approved = 0
    for some in _unapproved(hub) if everything else _sliced(ids):

        def work(session: Session, some: Sequence[UUID] = some) -> int:
            return submit_and_approve(session, some)

        approved += hub.transact(work, actor=ACTOR)
        if everything and approved % 2000 == 0:
            progress(f"{approved:,} approved so far ...")
    print_record(
        {"approved": approved}, as_json=as_json, sentence=f"{plural(approved, 'time entry', 'time entries')} approved."
    )


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
