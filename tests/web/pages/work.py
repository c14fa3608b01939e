"""A project with tasks, and somebody's time on them, for the tests of pages."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

from sqlalchemy import select

from hub.access.models import User
from hub.core.clients.service import create_client
from hub.core.projects.service import create_project, create_task
from hub.core.timesheets.models import TimeEntry
from hub.core.timesheets.service import record_time, submit_time

MONDAY = date(2026, 11, 16)
WEEK = "2026-W47"


def make_project(hub, client="Acme Ltd", name="Roll-out", tasks=("Advice", "Build")):
    """A project of a new client: ids as client_id, project_id, and one per task by its name."""

    def work(session):
        whose = create_client(session, name=client)
        project = create_project(session, client_id=whose.id, name=name, currency="GBP")
        session.flush()
        found = {task: create_task(session, project_id=project.id, name=task).id for task in tasks}
        return SimpleNamespace(client_id=whose.id, project_id=project.id, tasks=found)

    return hub.transact(work)


def person_of(hub, user_id):
    with hub.read() as session:
        return session.get_one(User, user_id).person_id


def enter(hub, user_id, task_id, *, on=MONDAY, seconds=3600, submitted=False, **values):
    """Time of a user's person; the id of the entry."""
    person_id = person_of(hub, user_id)

    def work(session):
        entry = record_time(session, task_id=task_id, person_id=person_id, worked_on=on, seconds=seconds, **values)
        if submitted:
            submit_time(session, [entry.id])
        return entry.id

    return hub.transact(work)


def entries(hub):
    """All time: (day, seconds, status, note), the oldest day first."""
    with hub.read() as session:
        rows = session.scalars(select(TimeEntry).order_by(TimeEntry.worked_on, TimeEntry.id)).all()
    return [(row.worked_on, row.seconds, str(row.status), row.note) for row in rows]


def cell(project, task, on=MONDAY, field="seconds"):
    """The name of a field of the week."""
    return f"{field}.{project.project_id}.{project.tasks[task]}.{on.isoformat()}"
