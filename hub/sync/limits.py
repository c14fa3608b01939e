"""Call budgets: exact moving windows per remote account and class, shared by all workers.

A call counts in its window from its turn until a window's length after its end: wherever in between the other side
took it in, no stretch of that length ever holds more calls than allowed. One Lua script looks at all classes of a call
and takes a place in each, or in none. The clock is the queue server's, so that workers on several hosts agree.

When the queue server is gone, or has forgotten what it knew, nobody can tell what was spent: a whole window is waited
out, and while it is gone each worker keeps to its share. A server that no process of ours has seen before is taken to
be a new installation's; there is nothing to wait for.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.core.errors import Busy
from hub.sync.connector import Limit

LONGEST_CALL_S = 150.0
"""A call whose end was never told (its process died) is taken to have ended after this."""
LONGEST_WAIT_S = 75.0

_SERVER_ANSWERS_S = 2.0
_NEXT_LOOK_S = 0.02
_ALONE = "alone"

log = structlog.get_logger("hub.sync")

_TAKE = """
-- KEYS: epoch, then per class: pause, window, flight.
-- ARGV: member, longest call, a name for a new epoch, then per class: calls, seconds, most in flight, and the epoch
-- that the caller knows: "" for none, "alone" when it has worked without the server since.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = string.format('%.6f', now) .. ' ' .. ARGV[3]
  redis.call('SET', KEYS[1], epoch)
end
local began = tonumber(string.match(epoch, '^%S+'))
local wait = 0
for i = 0, (#KEYS - 1) / 3 - 1 do
  local pause, window, flight = KEYS[3 * i + 2], KEYS[3 * i + 3], KEYS[3 * i + 4]
  local calls, seconds, most = tonumber(ARGV[4 * i + 4]), tonumber(ARGV[4 * i + 5]), tonumber(ARGV[4 * i + 6])
  local known, since = ARGV[4 * i + 7], nil  -- since: what was called before it is not known here
  if known == 'alone' then since = now elseif known ~= '' and known ~= epoch then since = began end
  local paused = redis.call('PTTL', pause) / 1000
  if since and calls > 0 and since + seconds - now > paused then
    paused = since + seconds - now
    redis.call('SET', pause, 1, 'PX', math.ceil(paused * 1000))
  end
  wait = math.max(wait, paused)
  if calls > 0 then
    redis.call('ZREMRANGEBYSCORE', window, '-inf', now)
    if redis.call('ZCARD', window) >= calls then
      local first = redis.call('ZRANGE', window, 0, 0, 'WITHSCORES')
      wait = math.max(wait, math.min(first[2] - now, seconds), 0.001)
    end
  end
  if most > 0 then
    redis.call('ZREMRANGEBYSCORE', flight, '-inf', now)
    if redis.call('ZCARD', flight) >= most then wait = math.max(wait, 0.02) end
  end
end
if wait > 0 then return {epoch, tostring(wait)} end
for i = 0, (#KEYS - 1) / 3 - 1 do
  local window, flight = KEYS[3 * i + 3], KEYS[3 * i + 4]
  local calls, seconds, most = tonumber(ARGV[4 * i + 4]), tonumber(ARGV[4 * i + 5]), tonumber(ARGV[4 * i + 6])
  if calls > 0 then
    redis.call('ZADD', window, now + ARGV[2] + seconds, ARGV[1])
    redis.call('PEXPIRE', window, math.ceil((ARGV[2] + seconds) * 1000))
  end
  if most > 0 then
    redis.call('ZADD', flight, now + ARGV[2], ARGV[1])
    redis.call('PEXPIRE', flight, math.ceil(ARGV[2] * 1000))
  end
end
return {epoch, '0'}
"""

_GIVE_BACK = """
-- KEYS: per class: window, flight. ARGV: member, then per class: seconds.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for i = 0, #KEYS / 2 - 1 do
  redis.call('ZADD', KEYS[2 * i + 1], 'XX', now + ARGV[i + 2], ARGV[1])
  redis.call('ZREM', KEYS[2 * i + 2], ARGV[1])
end
"""


@dataclass(eq=False)
class _Memory:
    """What this process knows of an account's budget, apart from the queue server.

    epochs: per class, names the server's memory as it was last seen, or _ALONE. alone_since: when the server was found
    gone (monotonic); None while it is there.
    until: per class and call taken alone, when it stops counting; in_flight: those that have not ended.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    epochs: dict[str, str] = field(default_factory=dict)
    alone_since: float | None = None
    paused_until: dict[str, float] = field(default_factory=dict)
    until: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    in_flight: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class _Server:
    """A queue server as limiters use it: through connections that give up when it hangs, with what is known of it."""

    def __init__(self, server: redis.Redis) -> None:
        pool = server.connection_pool
        patience = {"socket_timeout": _SERVER_ANSWERS_S, "socket_connect_timeout": _SERVER_ANSWERS_S}
        options = {**pool.connection_kwargs, **patience, "retry": Retry(NoBackoff(), 0)}
        self.client = redis.Redis.from_pool(redis.ConnectionPool(connection_class=pool.connection_class, **options))
        self.memories: dict[str, _Memory] = {}


# Limiters come and go with each piece of work; what a process knows stays as long as its connection to the server.
_servers: WeakKeyDictionary[redis.Redis, _Server] = WeakKeyDictionary()
_servers_lock = threading.Lock()


def _known(server: redis.Redis, account: str) -> tuple[redis.Redis, _Memory]:
    with _servers_lock:
        known = _servers.get(server) or _servers.setdefault(server, _Server(server))
        return known.client, known.memories.setdefault(account, _Memory())


def _share(limit: Limit, percent: int) -> Limit:
    return Limit(f"{limit.name} of work that has time", max(1, limit.calls * percent // 100), limit.per_s)


class Limiter:
    """The budget of one remote account. Used by any number of threads; several of one process share what they know.

    server: None means that there is none, and that each of `workers` processes keeps to its share from the start.
    share: calls of this one (work that has time) take a place in a window of so many percent as well, so that the rest
    is always left to the others; all of one account that are given a share have it together.
    """

    def __init__(
        self, server: redis.Redis | None, account: str, limits: Sequence[Limit], *, workers: int, share: int = 100
    ) -> None:
        self._account, self._workers = account, max(1, workers)
        self._limits = {limit.name: limit for limit in limits}
        self._shares = {limit.name: _share(limit, share) for limit in limits if limit.calls and share < 100}
        self._server: redis.Redis | None = None
        self._memory = _Memory()
        if server is not None:
            self._server, self._memory = _known(server, account)

    @contextmanager
    def slot(self, classes: Sequence[str] = (), timeout_s: float = LONGEST_WAIT_S) -> Iterator[None]:
        """Wait for a turn and hold it while a call is made: `acquire` and `release` around a block."""
        member = self.acquire(classes, timeout_s)
        try:
            yield
        finally:
            self.release(member, classes)

    def acquire(self, classes: Sequence[str] = (), timeout_s: float = LONGEST_WAIT_S) -> str:
        """Wait until a call of these classes may be made; none named means all. Returns the call's name for `release`.

        Raises Busy, with the time it takes, as soon as it is clear that timeout_s is not enough, and
        ValueError for a class that the connector does not declare.
        """
        limits, member = self._named(classes), uuid4().hex
        deadline = time.monotonic() + timeout_s
        while limits and (wait_s := self._try(limits, member)) > 0:
            if time.monotonic() + wait_s > deadline:
                names = ", ".join(limit.name for limit in limits)
                raise Busy(f"The allowed calls ({names}) are used up for now.", retry_after_s=wait_s)
            time.sleep(wait_s)
        return member

    def release(self, member: str, classes: Sequence[str] = ()) -> None:
        """The call has ended: it counts for one more window, and is no longer in flight."""
        limits = self._named(classes)
        if not self._give_back_alone(limits, member) and self._server is not None:
            keys = [self._key(kind, limit) for limit in limits for kind in ("window", "flight")]
            try:
                self._server.eval(_GIVE_BACK, len(keys), *keys, member, *(limit.per_s for limit in limits))
            except redis.RedisError as failure:  # the place runs out by itself
                log.warning("the queue server cannot be reached", error=str(failure))

    def penalise(self, classes: Sequence[str], seconds: float) -> None:
        """The other side asked for silence: nobody calls in these classes (none named: in any) for so long."""
        limits = self._named(classes)
        with self._memory.lock:
            for limit in limits:
                self._memory.paused_until[limit.name] = time.monotonic() + seconds
        if self._server is not None and seconds > 0:
            try:
                for limit in limits:
                    self._server.set(self._key("pause", limit), 1, px=max(1, int(seconds * 1000)))
            except redis.RedisError as failure:
                log.warning("the queue server cannot be reached", error=str(failure))

    def _named(self, classes: Sequence[str]) -> list[Limit]:
        unknown = sorted(set(classes) - set(self._limits))
        if unknown:
            known = ", ".join(self._limits) or "none"
            raise ValueError(f"There is no limit class {', '.join(unknown)}; the connector declares: {known}.")
        names = list(dict.fromkeys(classes or self._limits))
        return [self._limits[name] for name in names] + [self._shares[name] for name in names if name in self._shares]

    def _key(self, kind: str, limit: Limit) -> str:
        return f"hub:limits:{{{self._account}}}:{kind}:{limit.name}"

    def _try(self, limits: Sequence[Limit], member: str) -> float:
        """Take a place in every class and return 0, or take none and return how long to wait before trying again."""
        if self._server is None:
            return self._try_alone(limits, member)
        keys = [f"hub:limits:{{{self._account}}}:epoch"]
        keys += [self._key(kind, limit) for limit in limits for kind in ("pause", "window", "flight")]
        memory = self._memory
        with memory.lock:
            known = dict(memory.epochs)
        sizes = [(limit.calls, limit.per_s, limit.in_flight, known.get(limit.name, "")) for limit in limits]
        flat = [size for each in sizes for size in each]
        try:
            answer: Any = self._server.eval(_TAKE, len(keys), *keys, member, LONGEST_CALL_S, uuid4().hex, *flat)
        except redis.RedisError as failure:
            return self._try_without_server(limits, member, failure)
        epoch, wait_s = (part.decode() if isinstance(part, bytes) else str(part) for part in answer)
        with memory.lock:
            memory.alone_since = None
            memory.epochs |= {limit.name: epoch for limit in limits}
        return float(wait_s)

    def _try_without_server(self, limits: Sequence[Limit], member: str, failure: redis.RedisError) -> float:
        """Wait out one window of each class from when the server was found gone, then keep to the share."""
        memory = self._memory
        with memory.lock:
            if memory.alone_since is None:
                memory.alone_since = time.monotonic()
                memory.epochs = dict.fromkeys(self._limits, _ALONE)
                log.warning("the queue server cannot be reached; each worker keeps to its share", error=str(failure))
            longest_s = max((limit.per_s for limit in limits if limit.calls), default=0.0)
            rest_s = memory.alone_since + longest_s - time.monotonic()
        # The server is looked for again every second, so that its return is noticed.
        return min(rest_s, 1.0) if rest_s > 0 else self._try_alone(limits, member)

    def _try_alone(self, limits: Sequence[Limit], member: str) -> float:
        memory, now = self._memory, time.monotonic()
        with memory.lock:
            wait_s = max((self._wait_alone(limit, now) for limit in limits), default=0.0)
            if wait_s <= 0:
                for limit in limits:
                    memory.until[limit.name][member] = now + LONGEST_CALL_S + self._own_window_s(limit)
                    memory.in_flight[limit.name].add(member)
        return wait_s

    def _wait_alone(self, limit: Limit, now: float) -> float:
        memory = self._memory
        counted = {member: until for member, until in memory.until[limit.name].items() if until > now}
        memory.until[limit.name] = counted
        memory.in_flight[limit.name] &= set(counted)
        wait_s = memory.paused_until.get(limit.name, now) - now
        if limit.calls and len(counted) >= max(1, limit.calls // self._workers):
            wait_s = max(wait_s, min(min(counted.values()) - now, self._own_window_s(limit)))
        if limit.in_flight and len(memory.in_flight[limit.name]) >= max(1, limit.in_flight // self._workers):
            wait_s = max(wait_s, _NEXT_LOOK_S)
        return wait_s

    def _own_window_s(self, limit: Limit) -> float:
        """The window of this worker's share; longer where there are more workers than calls."""
        return limit.per_s * max(1.0, self._workers / limit.calls) if limit.calls else 0.0

    def _give_back_alone(self, limits: Sequence[Limit], member: str) -> bool:
        """Whether the call was one that was taken without the server."""
        memory, was_ours = self._memory, False
        with memory.lock:
            for limit in limits:
                memory.in_flight[limit.name].discard(member)
                if member in memory.until[limit.name]:
                    memory.until[limit.name][member] = time.monotonic() + self._own_window_s(limit)
                    was_ours = True
        return was_ours
