"""Which addresses the hub may call: checked when a connection is made, on the very address that is connected to.

A name may lead anywhere, and elsewhere a moment later; so the name is resolved once, every answer is checked, and
the connection goes to what was checked.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from hub.core.errors import ConfigurationFailure

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = {ipaddress.ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")}
"""Where clouds give a machine its credentials."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """private: hosts of a private network may be called. loopback: a URL that itself names this machine may be
    called, also by plain http; a name that merely leads here never is.
    """

    private: bool = False
    loopback: bool = True

    def check_url(self, url: str) -> None:
        """Raises ConfigurationFailure for what is not https, apart from plain http on loopback."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ConfigurationFailure("The address to call is malformed; write it as https://host/path.") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigurationFailure("The address to call must begin with https:// and name a host.")
        if is_loopback_host(host):
            if not self.loopback:
                raise ConfigurationFailure(f"{host} is this machine; the hub does not call it here. Name another host.")
        elif parts.scheme == "http":
            raise ConfigurationFailure(
                f"The address of {host} begins with http://; what is sent would be readable on the way. Use https://."
            )

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them allowed. Raises socket.gaierror, ConfigurationFailure."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in addresses:
            reason = self._refusal(host, ipaddress.ip_address(text.partition("%")[0]))
            if reason:
                raise ConfigurationFailure(f"{host} leads to {reason}; the hub does not call it. Check the address.")
        return addresses

    def _refusal(self, host: str, address: IPAddress) -> str:
        inner = _unwrapped(address)
        if inner.is_loopback:
            allowed = self.loopback and is_loopback_host(host)
            return "" if allowed else "this machine"
        if inner in _METADATA:
            return "the metadata service of a cloud"
        if inner.is_link_local or inner.is_multicast or inner.is_unspecified or _is_reserved(inner):
            return "an address that is no host's own"
        if not inner.is_global and not self.private:
            return "a private network"
        return ""


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host names this machine itself: localhost, 127.x.x.x, ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _unwrapped(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_reserved(address: IPAddress) -> bool:
    return address.is_reserved or (address.version == 4 and int(address) >> 24 == 0)
