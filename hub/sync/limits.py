"""Call budgets: exact moving windows per remote account and class, shared by all workers.

One Lua script looks at all classes of a call at once and takes a place in each, or in none. The clock is the queue
server's, so that workers on several hosts agree. When the server is gone or new, nobody knows what was spent: a window
is waited out, and each worker keeps to its share.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import redis
import structlog

from hub.core.errors import TemporaryFailure
from hub.sync.connector import Limit

log = structlog.get_logger("hub.sync")

LONGEST_WAIT_S = 120.0
IN_FLIGHT_EXPIRES_S = 150
"""A place in flight that nobody gave back (the process died) is free again after this: longer than any call."""

_SCRIPT = """
-- KEYS: one sorted set per class and kind. ARGV: member, then per key: "window" or "flight", size, seconds.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local wait = 0
for i, key in ipairs(KEYS) do
  local size, seconds = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - seconds)
  if redis.call('ZCARD', key) >= size then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local free = ARGV[3 * i - 1] == 'flight' and 0.05 or tonumber(oldest[2]) + seconds - now
    if free > wait then wait = free end
    if wait <= 0 then wait = 0.001 end
  end
end
if wait > 0 then return tostring(wait) end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[1])
  redis.call('EXPIRE', key, math.ceil(tonumber(ARGV[3 * i + 1])) + 1)
end
return '0'
"""


class Limiter:
    """The budget of one remote account, for one worker. `slot` is what the HTTP session calls."""

    def __init__(self, server: redis.Redis | None, account: str, limits: Sequence[Limit], *, workers: int) -> None:
        self._server, self._account, self._workers = server, account, max(1, workers)
        self._limits = {limit.name: limit for limit in limits}
        self._script = server.register_script(_SCRIPT) if server is not None else None
        self._local: dict[str, deque[float]] = {}
        self._alone_since: float | None = None

    @contextmanager
    def slot(self, classes: Sequence[str], timeout_s: float = LONGEST_WAIT_S) -> Iterator[None]:
        """Wait until a call of these classes may be made, and hold its places in flight until it has ended."""
        limits = [self._limits[name] for name in classes if name in self._limits]
        member = uuid4().hex
        self._acquire(limits, member, timeout_s)
        try:
            yield
        finally:
            self._release(limits, member)

    def penalise(self, classes: Sequence[str], seconds: float) -> None:
        """The other side said to wait: nobody calls in these classes for so long."""
        if self._server is not None:
            for name in classes:
                self._server.set(self._key("pause", name), 1, px=max(1, int(seconds * 1000)))

    def _acquire(self, limits: Sequence[Limit], member: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while limits and (wait := self._try(limits, member)) > 0:
            if time.monotonic() + wait > deadline:
                names = ", ".join(limit.name for limit in limits)
                raise TemporaryFailure(f"The budget for {names} calls is used up.", retry_after_s=wait)
            time.sleep(wait)

    def _try(self, limits: Sequence[Limit], member: str) -> float:
        """Take the places and return 0, or return how long to wait before trying again."""
        if self._server is None or self._script is None:
            return self._try_alone(limits)
        keys: list[str] = []
        arguments: list[str | float] = [member]
        for limit in limits:
            if limit.calls:
                keys.append(self._key("window", limit.name))
                arguments += ["window", limit.calls, limit.per_s]
            if limit.in_flight:
                keys.append(self._key("flight", limit.name))
                arguments += ["flight", limit.in_flight, IN_FLIGHT_EXPIRES_S]
        try:
            self._wait_out_if_new(limits)
            paused = max((self._server.pttl(self._key("pause", limit.name)) for limit in limits), default=0)
            if paused > 0:
                return paused / 1000
            wait = float(self._script(keys=keys, args=arguments)) if keys else 0.0
            self._alone_since = None
        except redis.RedisError as failure:
            log.warning("the queue server cannot be reached; keeping to this worker's share", error=str(failure))
            return self._try_alone(limits)
        return wait

    def _wait_out_if_new(self, limits: Sequence[Limit]) -> None:
        """A server without our mark knows nothing of calls just made: fill every window before the first call."""
        assert self._server is not None
        if not self._server.set(self._key("known", ""), 1, nx=True):
            return
        if self._server.set("hub:limits:known", 1, nx=True) is None:
            return  # the server knows other accounts: this one is new, not the server
        for limit in limits:
            if limit.calls and self._alone_since is not None:
                self._server.set(self._key("pause", limit.name), 1, px=int(limit.per_s * 1000))

    def _try_alone(self, limits: Sequence[Limit]) -> float:
        """Without the server: this worker's share of each window, once a whole window has been waited out."""
        now = time.monotonic()
        if self._alone_since is None:
            self._alone_since = now
        for limit in limits:
            if not limit.calls:
                continue
            if self._server is not None and now - self._alone_since < limit.per_s:
                return limit.per_s - (now - self._alone_since)
            made = self._local.setdefault(limit.name, deque())
            while made and made[0] <= now - limit.per_s:
                made.popleft()
            if len(made) >= max(1, limit.calls // self._workers):
                return made[0] + limit.per_s - now
        for limit in limits:
            self._local.setdefault(limit.name, deque()).append(now)
        return 0.0

    def _release(self, limits: Sequence[Limit], member: str) -> None:
        if self._server is None:
            return
        try:
            for limit in limits:
                if limit.in_flight:
                    self._server.zrem(self._key("flight", limit.name), member)
        except redis.RedisError:
            return  # the place runs out by itself

    def _key(self, kind: str, name: str) -> str:
        return f"hub:limits:{self._account}:{kind}:{name}"
