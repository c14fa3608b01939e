"""The service's limits for one company. Vendor's page: "API call limits and throttles"."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any


class Throttle:
    """Counts admitted calls in moving windows. options: the limits, 0 for none."""

    def __init__(self, options: dict[str, Any]) -> None:
        minute, second = timedelta(minutes=1), timedelta(seconds=1)
        self._in_flight = int(options["calls_in_flight"])
        self._all = [
            _Window(int(options["calls_per_minute"]), minute),
            _Window(int(options["calls_per_second"]), second),
        ]
        self._batches = [_Window(int(options["batches_per_minute"]), minute)]

    def admits(self, now: datetime, counts: str, in_flight: int) -> bool:
        """May this call pass? One that may is counted."""
        windows = self._all + (self._batches if counts == "batch" else [])
        if self._in_flight and in_flight > self._in_flight:
            return False
        if not all(window.has_room(now) for window in windows):
            return False
        for window in windows:
            window.times.append(now)
        return True


class _Window:
    def __init__(self, limit: int, length: timedelta) -> None:
        self._limit, self._length = limit, length
        self.times: deque[datetime] = deque()

    def has_room(self, now: datetime) -> bool:
        while self.times and self.times[0] <= now - self._length:
            self.times.popleft()
        return not self._limit or len(self.times) < self._limit
