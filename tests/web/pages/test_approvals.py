"""Approving time and sending it back through the page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.core.timesheets.models import ImportBatch
from tests.web.pages.visitor import Visitor
from tests.web.pages.work import MONDAY, enter, entries, make_project


@pytest.fixture
def project(hub, users):
    return make_project(hub)


@pytest.fixture
def manager(app, hub, users):
    return Visitor(app, hub, users["manager"])


@pytest.fixture
def waiting(hub, users, project):
    """Two submitted entries of the consultant."""
    task_id = project.tasks["Advice"]
    return [enter(hub, users["consultant"], task_id, on=MONDAY + timedelta(days=day), submitted=True) for day in (0, 1)]


def decide(visitor, ids, action="approve", **form):
    form = {"action": action, "entry": [str(each) for each in ids], **form}
    return visitor.post("/approvals/decide", form, seen_at="/approvals")


def states(hub):
    return [status for _, _, status, _ in entries(hub)]


def test_time_waits_by_person_and_week(manager, waiting):
    page = manager.get("/approvals").text

    assert "consultant person" in page
    assert "Week 47, 2026 · 2:00 h" in page


def test_what_is_ticked_is_approved_and_the_rest_waits(manager, hub, waiting):
    page = manager.follow(decide(manager, waiting[:1]))

    assert states(hub) == ["approved", "submitted"]
    assert "1 entry approved." in page.text


def test_time_is_returned_with_a_comment(manager, hub, waiting):
    manager.follow(decide(manager, waiting, "return", comment="Which client?"))

    assert states(hub) == ["rejected", "rejected"]


@pytest.mark.parametrize(
    ("ids", "form", "sentence"),
    [
        (["all"], {"action": "return"}, "Say why the time is sent back."),
        ([], {}, "Tick what you decide on."),
        (["x"], {}, "One of the ticked entries is none of the list."),
        (["all"], {"action": "burn"}, "Say whether to approve or to return"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(manager, hub, waiting, ids, form, sentence):
    refused = decide(manager, waiting if ids == ["all"] else ids, **form)

    assert (refused.status_code, sentence in refused.text) == (422, True)
    assert states(hub) == ["submitted", "submitted"]


def test_nobody_approves_their_own_time(manager, hub, users, project):
    own = enter(hub, users["manager"], project.tasks["Advice"], submitted=True)

    assert "Nothing to approve" in manager.get("/approvals").text
    assert decide(manager, [own]).status_code == 409
    assert states(hub) == ["submitted"]


def test_what_was_decided_meanwhile_is_told(manager, hub, waiting):
    decide(manager, waiting)

    refused = decide(manager, waiting)

    assert (refused.status_code, "This entry is approved" in refused.text) == (409, True)


def test_a_long_day_is_pointed_out(manager, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], seconds=13 * 3600, submitted=True)

    assert "More than 12 hours in a day: 13:00 h on Mon 16 Nov." in manager.get("/approvals").text


def test_time_of_an_import_that_is_not_complete_does_not_wait(manager, hub, users, project):
    batch = ImportBatch(kind="time", file_name="half.csv", digest="x", counts={})
    hub.transact(lambda session: session.add(batch))
    enter(hub, users["consultant"], project.tasks["Advice"], submitted=True, import_batch_id=batch.id)

    assert "Nothing to approve" in manager.get("/approvals").text


def test_the_list_is_filtered_by_project(manager, hub, users, project, waiting):
    other = make_project(hub, client="Brown Ltd", name="Migration")
    enter(hub, users["consultant"], other.tasks["Build"], submitted=True)

    page = manager.get(f"/approvals?project={other.project_id}").text

    assert "Week 47, 2026 · 1:00 h" in page
    assert manager.get("/approvals?project=none").status_code == 422


def test_weeks_are_paged(manager, hub, users, project):
    for week in range(11):
        enter(hub, users["consultant"], project.tasks["Advice"], on=MONDAY - timedelta(weeks=week), submitted=True)

    first, second = manager.get("/approvals").text, manager.get("/approvals?after=10").text

    assert "1–10 of 11 weeks" in first
    assert "11–11 of 11 weeks" in second
    assert "Week 47, 2026" in second, "the newest week comes last"
