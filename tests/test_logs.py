from __future__ import annotations

import json
import logging

import pytest
import structlog

from hub.logs import MASK, configure_logging, log_file, redacted, without_secrets


@pytest.fixture
def lines(tmp_path):
    """The events of the log of a data directory."""
    configure_logging(tmp_path)
    yield lambda: [json.loads(line) for line in log_file(tmp_path).read_text().splitlines()]
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if getattr(handler, "hub_log", False)]:
        root.removeHandler(handler)
        handler.close()
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json_with_its_time_and_its_logger(lines):
    structlog.get_logger("hub.sync").warning("connection needs attention", connection="books")

    (line,) = lines()
    assert (line["event"], line["connection"], line["level"], line["logger"]) == (
        "connection needs attention",
        "books",
        "warning",
        "hub.sync",
    )
    assert line["timestamp"].endswith("Z")


def test_the_libraries_log_to_the_same_file(lines):
    logging.getLogger("some.library").error("it broke: %s", "badly")

    assert lines()[0]["event"] == "it broke: badly"


def test_a_traceback_stands_in_the_log_without_the_secrets_in_it(lines):
    try:
        raise ValueError("refused: client_secret=s3cret-value")
    except ValueError as failure:
        structlog.get_logger("hub").error("broke", exc_info=failure)

    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "s3cret-value" not in json.dumps(line)


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "refresh_token", "Authorization", "api_key", "private_key", "cookie"]
)
def test_a_value_that_is_named_like_a_secret_is_masked(name):
    event = redacted(None, "info", {"event": "x", "headers": {name: "s3cret"}, name: "s3cret"})

    assert event[name] == MASK
    assert event["headers"] == {name: MASK}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer eyJhbGciOi.abc", f"Authorization: Bearer {MASK}"),
        ("postgresql://hub:s3cret@db/hub", f"postgresql://hub:{MASK}@db/hub"),
        ("POST /token?refresh_token=abc123&x=1", f"POST /token?refresh_token={MASK}&x=1"),
        ('{"client_secret": "a b c", "x": 1}', f'{{"client_secret": {MASK}, "x": 1}}'),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", MASK),
        ("Invoice INV-00001 of Harbour Foods", "Invoice INV-00001 of Harbour Foods"),
    ],
)
def test_a_text_that_holds_a_secret_is_masked(text, masked):
    assert without_secrets(text) == masked


def test_a_key_that_makes_a_repeat_harmless_is_no_secret():
    assert redacted(None, "info", {"event": "sent", "idempotency_key": "event-7"})["idempotency_key"] == "event-7"


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "log").write_text("a file where the folder should be")

    configure_logging(tmp_path)
    structlog.get_logger("hub").error("goes nowhere")

    logging.getLogger().handlers = [h for h in logging.getLogger().handlers if not getattr(h, "hub_log", False)]
    structlog.reset_defaults()
