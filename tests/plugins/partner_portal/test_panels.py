"""The home page's panels: what needs whom."""

from datetime import timedelta

import pytest
from flask import g, render_template

from hub.access.identity import CurrentUser
from hub.access.permissions import permissions_of
from plugins.partner_portal import partners
from plugins.partner_portal.models import Deal
from plugins.partner_portal.panels import MOST_ROWS, panels_for


@pytest.fixture
def panels(hub, app, story):
    """The panels of a user of Northwind or of the firm: (title, page) each."""

    def show(role):
        user_id = story.hub.transact(lambda session: _member(session) if role == "partner" else story.south)
        user = CurrentUser(
            id=user_id,
            name="Jo",
            email="jo@x.example",
            role=role,
            person_id=None,
            permissions=permissions_of(role, hub.plugins.hooks),
            theme="system",
            actor=f"user:{user_id}",
        )
        with app.test_request_context("/"):
            g.user = user
            return [(panel.title, render_template(panel.template, **panel.context)) for panel in panels_for(user)]

    return show


def _member(session):
    north = partners.get_partner(session, "Northwind")
    return partners.join_partner(session, north, north.id).user_id


def test_a_partner_reads_its_drafts_and_what_ends_soon(story, panels, today):
    story.create(story.north, title="A draft")
    story.create(story.south, title="Not mine")
    ending = story.approved(story.north, title="Ends soon")
    story.approved(story.north, title="Ends late", products=["crm"])
    story.hub.transact(
        lambda session: setattr(session.get(Deal, ending), "protected_until", today + timedelta(days=14))
    )
    ((title, page),) = panels("partner")
    assert title == "Your deals"
    assert [name for name in ("A draft", "Not mine", "Ends soon", "Ends late") if name in page] == [
        "A draft",
        "Ends soon",
    ]


def test_an_approver_reads_the_first_that_wait(story, panels):
    for number in range(MOST_ROWS + 1):
        story.submitted(story.north, title=f"Deal no {number}")
    ((title, page),) = panels("manager")
    assert title == "Deals to decide"
    assert [number for number in range(MOST_ROWS + 1) if f"Deal no {number}" in page] == [0, 1, 2, 3, 4]


def test_a_consultant_has_none_and_nothing_to_do_is_said(panels):
    assert panels("consultant") == []
    assert "No deal needs you." in panels("partner")[0][1]
