"""Connections that go only where the rules allow: what `hub.http` puts under requests."""

from __future__ import annotations

import socket
import threading

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from hub.addresses import AddressRules


class _Making(threading.local):
    failed = False


making = _Making()
"""failed: the connection for this thread's present call could not be made, so nothing of the call was sent."""


class CheckingAdapter(HTTPAdapter):
    """Sends through connections that keep to the rules, and tries nothing twice."""

    def __init__(self, rules: AddressRules) -> None:
        super().__init__(max_retries=0)
        own = {"rules": rules}
        plain, encrypted = type("Plain", (_Plain,), own), type("Encrypted", (_Encrypted,), own)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("EncryptedPool", (HTTPSConnectionPool,), {"ConnectionCls": encrypted}),
        }


class _Plain(HTTPConnection):
    rules: AddressRules

    def _new_conn(self) -> socket.socket:
        return _connect(self, self.rules)

    def connect(self) -> None:
        making.failed = True
        super().connect()
        making.failed = False


class _Encrypted(HTTPSConnection):
    rules: AddressRules

    def _new_conn(self) -> socket.socket:
        return _connect(self, self.rules)

    def connect(self) -> None:  # with the handshake, before anything of the request is sent
        making.failed = True
        super().connect()
        making.failed = False


def _connect(connection: HTTPConnection, rules: AddressRules) -> socket.socket:
    """Connect to an address that was checked. Raises as urllib3's own method does, and ConfigurationFailure."""
    try:
        addresses = rules.resolve(connection.host, connection.port)
    except socket.gaierror as unknown:
        raise NameResolutionError(connection.host, connection, unknown) from unknown
    last: OSError = OSError("no address")
    for address in addresses:
        try:
            return create_connection(
                (address, connection.port), connection.timeout, socket_options=connection.socket_options
            )
        except OSError as failure:
            last = failure
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from last
    raise NewConnectionError(connection, str(last)) from last
