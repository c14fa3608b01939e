"""Time, from entry to approval."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Event
from hub.core.timesheets.models import ImportBatch, TimeEntry
from hub.core.timesheets.service import (
    approve_time,
    change_time,
    delete_time,
    get_time,
    record_blocks,
    record_time,
    reject_time,
    submit_and_approve,
    submit_time,
    unapproved_ids,
)


def state(hub, id):
    with hub.read() as session:
        return get_time(session, id).status


@pytest.fixture
def entry(hub, firm):
    return hub.transact(lambda session: firm.work(session, approved=False))


def test_an_entry_is_approved_by_another(hub, firm, entry):
    hub.transact(lambda session: submit_time(session, [entry]) and None)
    hub.transact(lambda session: approve_time(session, [entry], by_person=uuid4()) and None, actor="user:7")
    with hub.read() as session:
        found = get_time(session, entry)
        assert (found.status, found.approved_by) == ("approved", "user:7")
        assert session.scalars(select(Event.name).where(Event.record_id == entry)).all() == ["time_approved"]


def test_nobody_approves_their_own_time(hub, firm, entry):
    hub.transact(lambda session: submit_time(session, [entry]) and None)
    with pytest.raises(RuleBroken, match="Nobody approves their own time") as refusal:
        hub.transact(lambda session: approve_time(session, [entry], by_person=firm.person) and None)
    assert refusal.value.code == "own-approval"
    assert state(hub, entry) == "submitted"


def test_one_entry_that_cannot_be_approved_stops_all(hub, firm, entry):
    submitted = hub.transact(lambda session: firm.work(session, approved=False))
    hub.transact(lambda session: submit_time(session, [submitted]) and None)
    with pytest.raises(RuleBroken, match="This entry is open"):
        hub.transact(lambda session: approve_time(session, [submitted, entry]) and None)
    assert state(hub, submitted) == "submitted"


def test_what_is_sent_back_carries_the_reason_until_it_is_handed_in_again(hub, firm, entry):
    hub.transact(lambda session: submit_time(session, [entry]) and None)
    hub.transact(lambda session: reject_time(session, [entry], reason=" Wrong task ") and None)
    with hub.read() as session:
        assert get_time(session, entry).rejected_reason == "Wrong task"
    hub.transact(lambda session: submit_time(session, [entry]) and None)
    with hub.read() as session:
        assert (get_time(session, entry).status, get_time(session, entry).rejected_reason) == ("submitted", None)


def test_sending_back_needs_a_reason(hub, entry):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: reject_time(session, [entry], reason=" ") and None)
    assert list(refusal.value.fields) == ["reason"]


def test_an_open_entry_can_be_changed_and_taken_out(hub, entry):
    hub.transact(lambda session: change_time(session, entry, seconds=7200, note="more") and None)
    with hub.read() as session:
        assert (get_time(session, entry).seconds, get_time(session, entry).note) == (7200, "more")
    hub.transact(lambda session: delete_time(session, entry))
    with hub.read() as session, pytest.raises(NotFound):
        get_time(session, entry)


@pytest.mark.parametrize("act", [lambda s, id: change_time(s, id, seconds=60), delete_time], ids=["change", "delete"])
def test_an_entry_that_was_handed_in_is_locked(hub, entry, act):
    hub.transact(lambda session: submit_time(session, [entry]) and None)
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: act(session, entry) and None)
    assert refusal.value.code == "time-locked"


def test_of_blocks_of_which_one_is_wrong_none_is_recorded(hub, firm):
    from hub.core.timesheets.service import Block

    good = Block(firm.task, firm.person, date(2026, 1, 5), 60)
    with pytest.raises(RuleBroken, match="day's work"):
        hub.transact(
            lambda session: record_blocks(session, [good, Block(firm.task, firm.person, date(2026, 1, 5), 0)]) and None
        )
    with hub.read() as session:
        assert session.scalar(select(func.count()).select_from(TimeEntry)) == 0


@pytest.mark.parametrize("missing", ["task_id", "person_id"])
def test_time_needs_a_task_and_a_person_that_exist(hub, firm, missing):
    values = {"task_id": firm.task, "person_id": firm.person, missing: uuid4()}
    with pytest.raises(NotFound, match=str(values[missing])):
        hub.transact(lambda session: record_time(session, worked_on=date(2026, 1, 5), seconds=60, **values) and None)


def test_what_is_not_there_cannot_be_approved(hub, entry):
    gone = uuid4()
    with pytest.raises(NotFound, match=str(gone)):
        hub.transact(lambda session: submit_time(session, [entry, gone]) and None)
    assert state(hub, entry) == "open"


def test_an_import_that_is_not_complete_is_not_offered_for_approval(hub, firm):
    def work(session):
        batch = ImportBatch(kind="time", file_name="t.csv", digest="d", counts={})
        session.add(batch)
        session.flush()
        firm.work(session, approved=False, import_batch_id=batch.id)
        return firm.work(session, approved=False)

    shown = hub.transact(work)
    with hub.read() as session:
        assert list(unapproved_ids(session)) == [shown]


def test_time_that_comes_approved_from_elsewhere_takes_both_steps(hub, firm, entry):
    submitted = hub.transact(lambda session: firm.work(session, approved=False))
    hub.transact(lambda session: submit_time(session, [submitted]) and None)
    assert hub.transact(lambda session: submit_and_approve(session, [entry, submitted])) == 2
    assert state(hub, entry) == state(hub, submitted) == "approved"
