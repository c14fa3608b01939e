"""The log: one line of JSON per event, with secrets masked, in a file of the data directory or on stderr.

Tracebacks go here and nowhere else; what people see is one sentence.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

import structlog

MASK: Final = "•••"

_SECRET_NAME: Final = re.compile(
    r"secret|password|passwd|token|authorization|cookie|private_key|api_?key|credential|assertion", re.IGNORECASE
)
_SECRET_TEXT: Final = (
    re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(
        r"(?i)([\"']?\b[\w.-]*(?:secret|password|token|api_?key|assertion|private_key)[\"']?\s*[=:]\s*)"
        r"(\"[^\"]*\"|'[^']*'|[^\s&,;})\]]+)"
    ),
    re.compile(r"(://[^/\s:@]+:)[^@\s/]+(?=@)"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)
_NEVER_SECRET: Final = frozenset({"event", "level", "timestamp", "logger", "idempotency_key"})


def log_file(data_dir: Path) -> Path:
    """Where the log of a data directory stands."""
    return data_dir / "log" / "hub.log"


def configure_logging(data_dir: Path, *, to_stderr: bool = False, level: str = "INFO") -> None:
    """Send the log of the hub and of the libraries it uses to the data directory's file.

    to_stderr: there instead, for the parts of a hub whose output a supervisor collects. A log that cannot be written
    (a full disk) never stops the work.
    """
    logging.raiseExceptions = False
    lowest = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    handler: logging.Handler
    if to_stderr:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = _file_handler(log_file(data_dir)) or logging.NullHandler()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redacted,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if getattr(old, "hub_log", False):
            root.removeHandler(old)
            old.close()
    handler.hub_log = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(lowest)
    for noisy in ("urllib3", "alembic", "sqlalchemy", "rq", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        cache_logger_on_first_use=False,
    )


def redacted(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event with whatever is named like a secret, or looks like one, masked. A processor of structlog."""
    return {name: value if name in _NEVER_SECRET - {"event"} else _masked(name, value) for name, value in event.items()}


def _masked(name: str, value: Any) -> Any:
    if name not in _NEVER_SECRET and _SECRET_NAME.search(name) and value not in (None, "", True, False):
        return MASK
    if isinstance(value, dict):
        return {str(key): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked("", item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """A text with credentials in it masked: headers, `name=value` pairs, passwords in addresses, private keys."""
    header, pair, address, key = _SECRET_TEXT
    text = header.sub(rf"\1 {MASK}", text)
    text = key.sub(MASK, text)
    text = pair.sub(rf"\1{MASK}", text)
    return address.sub(rf"\1{MASK}", text)


def _file_handler(path: Path) -> logging.Handler | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return WatchedFileHandler(path, encoding="utf-8", delay=False)
    except OSError:
        return None
