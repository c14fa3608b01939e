"""Places in the queue server: taken by one worker at a time, kept by a beat, free again soon after it was killed.

A place carries the name of who took it. Who comes late, after it ran out and was taken by another, leaves it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import redis

_STAY = """
-- KEYS: the place. ARGV: whose it is, milliseconds. One that ran out, and that nobody has taken, is ours still.
local owner = redis.call('GET', KEYS[1])
if not owner or owner == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
"""
_LEAVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@contextmanager
def place(server: redis.Redis, key: str, seconds: float) -> Iterator[bool]:
    """Take a place for as long as the block takes. Yields whether it was free; nothing is waited for."""
    owner, length_ms = uuid4().hex, int(seconds * 1000)
    if not server.set(key, owner, nx=True, px=length_ms):
        yield False
        return
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds / 3):
            with suppress(redis.RedisError):
                server.eval(_STAY, 1, key, owner, length_ms)

    thread = threading.Thread(target=beat, daemon=True, name="place")
    thread.start()
    try:
        yield True
    finally:
        done.set()
        thread.join()
        server.eval(_LEAVE, 1, key, owner)
