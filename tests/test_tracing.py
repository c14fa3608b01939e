"""One trace for all that is set off by one cause."""

from __future__ import annotations

import structlog
from sqlalchemy import select
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from hub.core.audit import AuditEntry
from hub.core.clients.service import create_client
from hub.tracing import begin_trace, current_trace, new_span, new_trace, traced


def test_a_block_is_in_the_trace_it_is_given_and_nothing_is_left_of_it():
    with capture_logs([merge_contextvars]) as lines, traced("abc", connection="books"):
        structlog.get_logger().info("something")

    assert (lines[0]["trace"], lines[0]["connection"]) == ("abc", "books")
    assert current_trace() == ""


def test_a_block_within_a_trace_stays_in_it_and_one_by_itself_begins_one():
    with traced() as _:
        outer = current_trace()
        with traced():
            assert current_trace() == outer
    with traced():
        assert current_trace() not in ("", outer)


def test_a_new_request_takes_nothing_over_from_the_one_before(hub):
    with traced("first", connection="books"):
        begin_trace("second")
        with capture_logs([merge_contextvars]) as lines:
            structlog.get_logger().info("something")
        assert lines[0] == {"event": "something", "log_level": "info", "trace": "second"}
    structlog.contextvars.clear_contextvars()


def test_a_change_is_noted_with_the_trace_it_belongs_to(hub):
    with traced("cause"):
        hub.transact(lambda session: create_client(session, name="Acme") and None)

    with hub.read() as session:
        assert session.scalars(select(AuditEntry.request_id)).all() == ["cause"]


def test_ids_have_the_form_of_the_w3c_s_trace_context():
    assert (len(new_trace()), len(new_span())) == (32, 16)
    assert int(new_trace(), 16) and int(new_span(), 16)
