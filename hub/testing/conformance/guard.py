"""The network as the kit lets it be: whom the process calls, and whether it does so by the hub's own HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from hub import http


@dataclass
class Guard:
    """refused: hosts that were asked for and may not be. by_hub: calls made by the hub's HttpClient."""

    refused: set[str] = field(default_factory=set)
    by_hub: int = 0


@contextmanager
def guarded(*, hosts: set[str]) -> Iterator[Guard]:
    """Let nobody be reached but these hosts for a block, and note who was asked for."""
    guard, real_connect, real_look_up = Guard(), socket.socket.connect, socket.getaddrinfo
    real_request, allowed = http.HttpClient.request, set(hosts)

    def look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name not in hosts:
            guard.refused.add(name)
            raise socket.gaierror(socket.EAI_NONAME, "not let through by the conformance kit")
        found = real_look_up(host, *arguments, **named)
        allowed.update(str(entry[4][0]) for entry in found)
        return found

    def connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and address[0] not in allowed:
            guard.refused.add(str(address[0]))
            raise ConnectionRefusedError("not let through by the conformance kit")
        return real_connect(self, address)

    def request(self: Any, *arguments: Any, **named: Any) -> Any:
        guard.by_hub += 1
        return real_request(self, *arguments, **named)

    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket, "getaddrinfo", look_up),
        mock.patch.object(http.HttpClient, "request", request),
    ):
        yield guard
