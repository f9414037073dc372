"""Connections to one server: a shared TLS context, and no reuse after a long idle time."""

from __future__ import annotations

import time
from functools import cache, partial
from pathlib import Path
from ssl import SSLContext, SSLWantReadError
from typing import TYPE_CHECKING, Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

if TYPE_CHECKING:
    from llm_relay.transport.settings import TransportSettings


class ConnectionAdapter(HTTPAdapter):
    """The connections to one server, kept open for the next request."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        is_tls = settings.base_url.lower().startswith("https:")
        self._pool_options: dict[str, Any] = (
            {"ssl_context": tls_context(settings.ca_bundle)} if is_tls else {}
        )
        self._pool_classes = {
            scheme: partial(pool, max_idle_seconds=settings.connection_idle_seconds)
            for scheme, pool in (("http", _FreshPool), ("https", _FreshTlsPool))
        }
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=settings.max_connections)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
    ) -> None:
        """Create the pool manager with our pools and TLS context."""
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._pool_options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool manager of a proxy, with our pools and TLS context."""
        manager = super().proxy_manager_for(proxy, **kwargs, **self._pool_options)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the only pool: looking it up takes a tenth of a call's time."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def preconnect(self) -> None:
        """Open a connection for the next request, which reports a failure if there is one."""
        request = requests.Request("GET", self._settings.base_url).prepare()
        pool: Any = self.get_connection_with_tls_context(request, verify=True)
        connection = pool._get_conn()  # noqa: SLF001 - overridden below
        if connection.is_closed:
            connection.timeout = self._settings.connect_seconds
            try:
                connection.connect()
            except (HTTPError, OSError):
                connection.close()
        pool._put_conn(connection)  # noqa: SLF001

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Leave the certificates to the TLS context, which has loaded them."""
        conn.cert_reqs = "CERT_REQUIRED"


@cache
def tls_context(ca_bundle: str | None) -> SSLContext:
    """Return a context that trusts a file or folder of certificates, certifi's by default.

    Reading them takes as long as a dozen calls, so all connections share the context.
    """
    context = create_urllib3_context()
    trusted = ca_bundle or certifi.where()
    is_folder = Path(trusted).is_dir()
    context.load_verify_locations(**{"capath" if is_folder else "cafile": trusted})
    return context


class _SingleWrite:
    """Sends a request in one write: each write wakes the server once more."""

    _unsent: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        self._unsent = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        finally:
            unsent, self._unsent = self._unsent, None
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        """Send bytes, or keep them until the request is complete."""
        if self._unsent is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._unsent.append(data)


class SingleWriteConnection(_SingleWrite, HTTPConnection):
    """A connection without TLS."""


class _SingleWriteTlsConnection(_SingleWrite, HTTPSConnection):
    def connect(self) -> None:
        """Connect; NewConnectionError for any TLS failure, as nothing has been sent then."""
        try:
            super().connect()
        except ConnectTimeoutError:
            raise
        except (OSError, HTTPError) as error:
            raise NewConnectionError(self, f"no TLS: {type(error).__name__}") from None

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and nothing unrequested has arrived.

        Polling the socket is not enough: TLS 1.3 sends tickets after the handshake, and content
        may already be inside the TLS object.
        """
        if self.sock is None:
            return False
        self.sock.settimeout(0)
        try:
            self.sock.recv(1)
        except (BlockingIOError, SSLWantReadError):
            return True
        except OSError:
            pass
        return False


class _FreshPool(HTTPConnectionPool):
    """A pool that reopens connections that were idle for too long.

    Servers close idle connections, which a frozen function does not notice. Sending a request again
    might be charged twice, so old connections are not used at all.
    """

    ConnectionCls: type[HTTPConnection] = SingleWriteConnection

    def __init__(self, *args: Any, max_idle_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_idle_seconds = max_idle_seconds

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        idle_since = getattr(connection, "idle_since", None)
        if idle_since is not None and time.monotonic() - idle_since >= self._max_idle_seconds:
            connection.close()  # it reopens when it is used
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTlsPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _SingleWriteTlsConnection
