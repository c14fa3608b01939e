"""A week of time through its page, without scripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import update

from hub.access.models import User
from hub.core.timesheets.service import approve_time, reject_time
from hub.web.week_form import PostedCell, save_cells
from hub.web.week_grid import Week
from tests.web.pages.visitor import Visitor
from tests.web.pages.work import MONDAY, WEEK, cell, enter, entries, make_project

PAGE = f"/time?week={WEEK}"
TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture
def project(hub, users):
    return make_project(hub)


@pytest.fixture
def consultant(app, hub, users):
    return Visitor(app, hub, users["consultant"])


def send(visitor, action="save", **form):
    return visitor.post(PAGE, {"action": action, **form}, seen_at=PAGE)


def test_typed_hours_become_entries(consultant, hub, project):
    sent = send(consultant, **{cell(project, "Advice"): "7:30", cell(project, "Build", TUESDAY): "1,5"})

    page = consultant.follow(sent)
    assert entries(hub) == [(MONDAY, 27_000, "open", ""), (TUESDAY, 5_400, "open", "")]
    assert "Week 47 is saved." in page.text
    assert 'value="7:30"' in page.text


def test_a_cell_is_changed_and_emptied(consultant, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], note="Kick-off")
    enter(hub, users["consultant"], project.tasks["Build"])

    send(
        consultant,
        **{
            cell(project, "Advice"): "2",
            cell(project, "Advice", field="note"): "Workshop",
            cell(project, "Build"): "",
        },
    )

    assert entries(hub) == [(MONDAY, 7_200, "open", "Workshop")]


def test_saving_what_is_shown_changes_nothing_though_it_is_shown_shorter(consultant, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], seconds=1_199)  # shown as 0.33, which is 1,188 s

    send(consultant, **{cell(project, "Advice"): "0.33"})

    assert entries(hub) == [(MONDAY, 1_199, "open", "")]


def test_what_cannot_be_read_is_marked_and_nothing_is_saved(consultant, hub, project):
    refused = send(consultant, **{cell(project, "Advice"): "8", cell(project, "Build"): "lots"})

    assert refused.status_code == 422
    assert "“lots” is no time. Write hours as 7:30 or 7.5." in refused.text
    assert 'value="lots"' in refused.text
    assert 'value="8"' in refused.text
    assert entries(hub) == []


def test_a_note_needs_hours_beside_it(consultant, project):
    refused = send(consultant, **{cell(project, "Advice"): "", cell(project, "Advice", field="note"): "Away"})

    assert (refused.status_code, "A note needs hours beside it." in refused.text) == (422, True)


def test_a_week_is_saved_and_handed_in_at_once(consultant, hub, project):
    page = consultant.follow(send(consultant, "submit", **{cell(project, "Advice"): "8"}))

    assert entries(hub) == [(MONDAY, 28_800, "submitted", "")]
    assert "Week 47 is submitted for approval." in page.text
    assert "locked: It waits for approval." in page.text


def test_an_empty_week_cannot_be_handed_in(consultant, project):
    refused = send(consultant, "submit")

    assert (refused.status_code, "There is nothing to hand in" in refused.text) == (422, True)


def test_a_row_is_added_and_what_was_typed_is_kept(consultant, hub, project):
    chosen = f"{project.project_id} {project.tasks['Build']}"

    page = consultant.follow(send(consultant, "add", add=chosen, **{cell(project, "Advice"): "2"}))

    assert cell(project, "Build") in page.text
    assert entries(hub) == [(MONDAY, 7_200, "open", "")]


def test_an_empty_week_begins_with_the_rows_of_the_week_before(consultant, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], on=MONDAY - timedelta(days=7))

    page = consultant.get(PAGE).text

    assert cell(project, "Advice") in page
    assert cell(project, "Build") not in page


def test_the_rows_of_the_week_before_are_copied_beside_those_that_are_there(consultant, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], on=MONDAY - timedelta(days=7))
    enter(hub, users["consultant"], project.tasks["Build"])

    page = consultant.follow(send(consultant, "copy", **{cell(project, "Build"): "1:00"})).text

    assert cell(project, "Advice") in page
    assert cell(project, "Build") in page


def test_time_that_was_returned_says_why_and_can_be_mended(consultant, hub, users, project):
    entry_id = enter(hub, users["consultant"], project.tasks["Advice"], submitted=True)
    hub.transact(lambda session: reject_time(session, [entry_id], reason="Which client was this for?"))
    assert "Which client was this for?" in consultant.get(PAGE).text

    send(consultant, "submit", **{cell(project, "Advice"): "2"})

    assert entries(hub) == [(MONDAY, 7_200, "submitted", "")]


def test_approved_time_is_locked_also_against_a_forged_form(consultant, hub, users, project):
    entry_id = enter(hub, users["consultant"], project.tasks["Advice"], submitted=True)
    hub.transact(lambda session: approve_time(session, [entry_id]))

    refused = send(consultant, **{cell(project, "Advice"): "9"})

    assert refused.status_code == 409
    assert entries(hub) == [(MONDAY, 3_600, "approved", "")]


def test_nobody_sees_or_changes_the_week_of_another(app, hub, users, project):
    enter(hub, users["consultant"], project.tasks["Advice"], note="Mine")
    manager = Visitor(app, hub, users["manager"])

    assert "Mine" not in manager.get(PAGE).text
    send(manager, **{cell(project, "Advice"): "2"})

    assert entries(hub) == [(MONDAY, 3_600, "open", "Mine"), (MONDAY, 7_200, "open", "")]


@pytest.mark.parametrize("week", ["2026-W54", "2026-47", "soon", "0000-W01"])
def test_a_week_that_is_none_is_named(consultant, week):
    refused = consultant.get(f"/time?week={week}")

    assert (refused.status_code, f"“{week}” is no week." in refused.text) == (422, True)


def test_days_of_other_weeks_and_unknown_fields_are_left_alone(consultant, hub, project):
    send(consultant, **{cell(project, "Advice", MONDAY + timedelta(days=7)): "8", "seconds.x.y.z": "8"})

    assert entries(hub) == []


@pytest.mark.parametrize("is_person", [True, False])
def test_only_who_is_one_of_the_firms_people_is_led_to_a_week(app, hub, users, is_person):
    person_id = None if not is_person else User.person_id
    hub.transact(lambda session: session.execute(update(User).values(person_id=person_id)) and None)

    page = Visitor(app, hub, users["admin"]).get("/clients")

    assert ('href="/time"' in page.text) is is_person


def test_the_same_week_sent_twice_at_once_is_recorded_once(hub, users, project):
    day = PostedCell("x", project.tasks["Advice"], MONDAY, "7:30", "", 27_000)
    with hub.read() as session:
        person_id = session.get(User, users["consultant"]).person_id
    ready = Barrier(3)

    def save(_):
        ready.wait()
        hub.transact(lambda session: save_cells(session, person_id, Week(MONDAY), {"x": day}))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(save, range(3)))

    assert [seconds for _, seconds, *_ in entries(hub)] == [27_000]


@pytest.mark.parametrize("week", ["0001-W01", "9999-W52"])
def test_a_week_that_nobody_works_in_is_refused(consultant, week):
    assert consultant.get(f"/time?week={week}").status_code in (404, 409, 422)
