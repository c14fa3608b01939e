"""A hub with the fake remote system, issued invoices to send there, and workers that come and go."""

from __future__ import annotations

import signal

import pytest

from hub.jobs.worker import run_worker
from tests.sync.conftest import books, firm, hub, invoice_for, remote

__all__ = ["books", "firm", "hub", "invoice_for", "remote"]


@pytest.fixture
def signals():
    """A worker takes over the process' signals; they are given back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def work_off(signals):
    """Does what is queued, as `hub worker` does, and ends."""
    return lambda worked_for: run_worker(worked_for, burst=True)
