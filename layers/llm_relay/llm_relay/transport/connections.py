"""Connections to the provider: one TLS context for all, and none used that idled for too long."""

from __future__ import annotations

import time
from functools import cache, partial
from pathlib import Path
from ssl import SSLWantReadError
from typing import TYPE_CHECKING, Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

if TYPE_CHECKING:
    from ssl import SSLContext

    from llm_relay.providers.settings import UpstreamSettings


class Connections(HTTPAdapter):
    """The connections to one provider, kept for the next call."""

    def __init__(self, settings: UpstreamSettings) -> None:
        is_tls = settings.base_url.lower().startswith("https:")
        self._shared: dict[str, Any] = (
            {"ssl_context": tls_context(settings.ca_bundle)} if is_tls else {}
        )
        self._keep_seconds = settings.keep_seconds
        self._pool: Any = None
        super().__init__(pool_connections=1, pool_maxsize=settings.connections)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **more: Any
    ) -> None:
        """Make what makes connections."""
        super().init_poolmanager(connections, maxsize, block, **more, **self._shared)
        self._keep_fresh(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        """Return what makes connections through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **more, **self._shared)
        if is_new:
            self._keep_fresh(manager)
        return manager

    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
        """Return the one pool there is: to look for it takes as long as a tenth of a call."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **more)
        return self._pool

    def open_one(self, url: str, seconds: float) -> None:
        """Have an open connection for the next call; if that fails, the call will tell."""
        form = requests.Request("GET", url).prepare()
        pool: Any = self.get_connection_with_tls_context(form, verify=True)
        connection = pool._get_conn()  # noqa: SLF001 - as ours below
        if connection.is_closed:
            connection.timeout = seconds
            try:
                connection.connect()
            except (HTTPError, OSError):
                connection.close()
        pool._put_conn(connection)  # noqa: SLF001

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Leave it to the context, which has the certificates."""
        conn.cert_reqs = "CERT_REQUIRED"

    def _keep_fresh(self, manager: Any) -> None:
        pools = {"http": _FreshPool, "https": _FreshTlsPool}
        manager.pool_classes_by_scheme = {
            scheme: partial(pool, keep_seconds=self._keep_seconds) for scheme, pool in pools.items()
        }


@cache
def tls_context(ca_bundle: str | None) -> SSLContext:
    """Return a context that trusts a file or folder of certificates, certifi's by default.

    Reading them takes as long as a dozen calls, so it is not done for each connection.
    """
    context = create_urllib3_context()
    trusted = ca_bundle or certifi.where()
    is_folder = Path(trusted).is_dir()
    context.load_verify_locations(**{"capath" if is_folder else "cafile": trusted})
    return context


class _OneWrite:
    """A connection that sends a request at once: each write wakes the other end once more."""

    _unsent: list[bytes] | None = None

    def request(self, *args: Any, **more: Any) -> None:
        """Send a request."""
        self._unsent = []
        try:
            super().request(*args, **more)  # type: ignore[misc]
        finally:
            unsent, self._unsent = self._unsent, None
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        """Send a part of a request, or keep it until all are there."""
        if self._unsent is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._unsent.append(data)


class OneWriteConnection(_OneWrite, HTTPConnection):
    """A connection without TLS."""


class _OneWriteTlsConnection(_OneWrite, HTTPSConnection):
    """A connection with TLS."""

    def connect(self) -> None:
        """Connect; whatever fails at that, nothing was sent yet, which other errors do not tell."""
        try:
            super().connect()
        except ConnectTimeoutError:
            raise
        except (OSError, HTTPError) as error:
            raise NewConnectionError(self, f"no TLS: {type(error).__name__}") from None

    @property
    def is_connected(self) -> bool:
        """Whether it is open and nothing has come that nobody asked for.

        To look at the socket will not do: TLS 1.3 sends tickets to it after the handshake, and
        content may have been read from it that is still inside the TLS object.
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
    """A pool whose connections are opened afresh if they have idled for too long.

    A server lets go of idle connections, and a frozen function does not hear of it. Sending again
    once that shows might be paid for twice, so old connections are not used at all.
    """

    ConnectionCls: type[HTTPConnection] = OneWriteConnection

    def __init__(self, *args: Any, keep_seconds: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._keep_seconds = keep_seconds

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        idle_since = getattr(connection, "idle_since", None)
        if idle_since is not None and time.monotonic() - idle_since >= self._keep_seconds:
            connection.close()  # it opens by itself when it is used
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTlsPool(_FreshPool, HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = _OneWriteTlsConnection
