"""One trace for all that a request, a command or a sweep sets off: its log lines, jobs, changes and calls elsewhere.

The ids have the form of the W3C's trace context (www.w3.org/TR/trace-context), so that they can be looked up in other
tools; a request keeps the id that its caller gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, get_contextvars

_TRACE = "trace"


@contextmanager
def traced(trace: str = "", **about: str) -> Iterator[None]:
    """Let a block belong to a trace: the one given, else the one it is in already, else a new one.

    about: what else each log line of the block says, such as the connection.
    """
    with bound_contextvars(**{_TRACE: trace or current_trace() or new_trace()}, **about):
        yield


def begin_trace(trace: str) -> None:
    """Let all that this thread does from now on belong to a trace, and to nothing that was before."""
    clear_contextvars()
    bind_contextvars(**{_TRACE: trace})


def end_trace() -> None:
    """Nothing that this thread does from now on belongs to what it did until now."""
    clear_contextvars()


def current_trace() -> str:
    """The trace that this thread works in; empty for none."""
    return str(get_contextvars().get(_TRACE, ""))


def new_trace() -> str:
    return uuid4().hex


def new_span() -> str:
    """The id of one call to another system within its trace."""
    return uuid4().hex[:16]
