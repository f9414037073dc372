"""Connects to public addresses only: a name is resolved once, and the checked address is used."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

# Other IPv6 addresses are private, or stand for an IPv4 address that a gateway would connect to.
_PUBLIC_IPV6 = IPv6Network("2000::/3")


class NotPublicError(ValueError):
    """A name resolves to a private address."""


class PublicOnlyAdapter(HTTPAdapter):
    """Connects to servers with public addresses over TLS, and to no others."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager, for https alone."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}


def resolve_public(host: str, port: int) -> list[str]:
    """Return a name's addresses; NotPublicError if one of them is not public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(map(is_public, addresses)):
        raise NotPublicError
    return addresses


def is_public(text: str) -> bool:
    """Return whether an address is public and stands for no other address."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        return address in _PUBLIC_IPV6 and address.is_global and address.sixtofour is None
    return address.is_global and not address.is_multicast


class _PublicConnection(HTTPSConnection):
    """A connection to a checked address; the certificate is still verified for the name."""

    def _new_conn(self) -> socket.socket:
        try:
            *others, last = resolve_public(self.host, self.port)
            for address in others:
                with suppress(OSError):
                    return self._connect_to(address)
            return self._connect_to(last)
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from error

    def _connect_to(self, address: str) -> socket.socket:
        target = (address, self.port)
        return create_connection(target, self.timeout, socket_options=self.socket_options)


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection
