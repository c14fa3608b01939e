"""`hub match`: which of theirs is which of ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import json_option, plural, print_json, print_record
from hub.cli.session import ACTOR, pass_hub
from hub.sync.connections import connection_named
from hub.sync.matching import accept_all, open_cases, settle_case
from hub.sync.models import MatchCase


@click.group()
def match() -> None:
    """Say which of theirs is which of ours, where it is not certain. Until then nothing of them is written."""


@match.command("list")
@click.argument("name")
@json_option
@pass_hub
def list_command(hub: Hub, name: str, as_json: bool) -> None:
    """What is to be settled for a connection, with the candidates."""
    with hub.read() as session:
        cases = [case_values(case) for case in open_cases(session, connection_named(session, name).id)]
    if as_json:
        print_json(cases)
        return
    for case in cases:
        side = "theirs" if case["direction"] == "in" else "ours"
        click.echo(f"{case['id']}  {case['kind']}, {side}: {case['label']}")
        for candidate in case["candidates"]:
            click.echo(f"    {candidate['score']:>3} %  {candidate['label']}  {candidate['why']}  ({candidate['id']})")
    if not cases:
        click.echo(f"Nothing is to be settled for {name}.")


@match.command("accept")
@click.argument("name")
@json_option
@pass_hub
def accept_command(hub: Hub, name: str, as_json: bool) -> None:
    """Link everything that has one best candidate to it."""

    def work(session: Session) -> int:
        return accept_all(session, connection_named(session, name).id, actor=ACTOR)

    count = hub.transact(work, actor=ACTOR)
    print_record({"linked": count}, as_json=as_json, sentence=f"{plural(count, 'record')} linked.")


@match.command("link")
@click.argument("case_id", type=click.UUID, metavar="CASE")
@click.argument("candidate", required=False)
@json_option
@pass_hub
def link_command(hub: Hub, case_id: UUID, candidate: str | None, as_json: bool) -> None:
    """It is this CANDIDATE (its id; else the best one)."""
    _settle(hub, case_id, "link", candidate, as_json=as_json)


@match.command("create")
@click.argument("case_id", type=click.UUID, metavar="CASE")
@json_option
@pass_hub
def create_command(hub: Hub, case_id: UUID, as_json: bool) -> None:
    """It is none of the candidates: create it anew."""
    _settle(hub, case_id, "create", None, as_json=as_json)


@match.command("ignore")
@click.argument("case_id", type=click.UUID, metavar="CASE")
@json_option
@pass_hub
def ignore_command(hub: Hub, case_id: UUID, as_json: bool) -> None:
    """It does not concern this hub."""
    _settle(hub, case_id, "ignore", None, as_json=as_json)


def case_values(case: MatchCase) -> dict[str, Any]:
    """A case as it is shown."""
    names = ("id", "kind", "direction", "label", "remote_id", "record_id", "candidates", "decision", "chosen")
    return {name: getattr(case, name) for name in names}


def _settle(hub: Hub, case_id: UUID, decision: str, chosen: str | None, *, as_json: bool) -> None:
    def work(session: Session) -> dict[str, Any]:
        return case_values(settle_case(session, case_id, decision, chosen=chosen, actor=ACTOR))

    case = hub.transact(work, actor=ACTOR)
    done = {"link": "linked", "create": "to be created", "ignore": "ignored"}[decision]
    print_record(case, as_json=as_json, sentence=f"“{case['label']}” is {done}; the next run does it.")
