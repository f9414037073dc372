"""Connections to the internet alone: a name is looked up once, and what was checked is called."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

if TYPE_CHECKING:
    from collections.abc import Callable

# All others mean a network of one's own, or an IPv4 address that a gateway would call instead.
_OF_THE_INTERNET = IPv6Network("2000::/3")


class NotPublicError(ValueError):
    """A name stands for an address inside a network; it is not called."""


class PublicAddresses(HTTPAdapter):
    """Reaches servers of the internet over TLS, and nothing else."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make what makes connections."""
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}


def addresses_of(host: str, port: int) -> list[str]:
    """Return a name's addresses; NotPublicError if one of them is not public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(map(is_public, addresses)):
        raise NotPublicError
    return addresses


def is_public(text: str) -> bool:
    """Tell whether an address is one of the internet's, and means no other one."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        return address in _OF_THE_INTERNET and address.is_global and address.sixtofour is None
    return address.is_global and not address.is_multicast


class _PublicConnection(HTTPSConnection):
    """A connection to an address that was checked; the certificate is the name's all the same."""

    def _new_conn(self) -> socket.socket:
        try:
            return _first_open(addresses_of(self.host, self.port), self._open)
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from error

    def _open(self, address: str) -> socket.socket:
        where = (address, self.port)
        return create_connection(where, self.timeout, socket_options=self.socket_options)


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


def _first_open(addresses: list[str], opened: Callable[[str], socket.socket]) -> socket.socket:
    failure = OSError()
    for address in addresses:
        try:
            return opened(address)
        except OSError as error:
            failure = error
    raise failure
