"""One exchange with the provider over HTTP; nothing else imports requests."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from llm_relay.errors import RelayError, UpstreamBroke, UpstreamTimedOut, UpstreamUnreachable
from llm_relay.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.deadline import Deadline
    from llm_relay.settings import UpstreamSettings

PIECE_BYTES = 65536
# A server may have hung up on a connection that was idle for so long; a younger one broke in use.
STALE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """One call to the provider."""

    method: str
    path: str  # below the base URL
    body: bytes | None = None
    accept: str = "application/json"


class Reply:
    """The provider's answer: status and headers are there, the body comes."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._pump: Pump | None = None
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError after that many silent seconds."""
        if self._pump is None:
            self._pump = Pump(self._read)
        return self._pump.take(seconds)

    def whole(self, deadline: Deadline, limit: float = float("inf")) -> bytes:
        """Return the body, cut soon after `limit` bytes; UpstreamTimedOut if it comes too late."""
        body = bytearray()
        try:
            while len(body) <= limit and (piece := self.take(deadline.remaining())):
                body += piece
        except TimeoutError:
            raise too_slow() from None
        return bytes(body)

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        with suppress(ValueError, RuntimeError, OSError):  # it has gone back by itself
            self._response.raw.shutdown()  # wakes a read that is under way
        if self._pump:
            self._pump.stop()
        self._response.close()

    def _read(self) -> bytes:
        # iter_content would wait for the end whenever the provider does not chunk.
        try:
            return self._response.raw.read1(PIECE_BYTES, decode_content=True) or b""
        except ReadTimeoutError:
            raise too_slow() from None
        except (HTTPError, OSError):
            raise UpstreamBroke("The provider's answer broke off.") from None


class Upstream:
    """The provider behind one base URL, over connections that are kept."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self._session = requests.Session()
        # Asking the environment on each call costs more than the rest of requests.
        self._session.trust_env = False
        self._session.proxies = dict(get_environ_proxies(settings.base_url))
        self._session.verify = settings.ca_bundle or True
        self._adapter = _Adapter()
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._used_at = 0.0

    def send(self, request: UpstreamRequest, key: str, deadline: Deadline) -> Reply:
        """Return the reply, whatever its status; the caller closes it.

        Raises UpstreamUnreachable if nothing was sent, else UpstreamBroke or UpstreamTimedOut.
        """
        idle_seconds = time.monotonic() - self._used_at
        connections = self._adapter.connections()
        try:
            return self._exchange(request, key, deadline)
        except requests.RequestException as error:
            # No new connection was made, so it was the kept one that the provider had let go.
            stale = idle_seconds >= STALE_SECONDS and connections == self._adapter.connections()
            if not (stale and type(error) is requests.ConnectionError):
                raise _failure(error) from None
        self._session.close()  # the other kept connections are as old
        try:
            return self._exchange(request, key, deadline)
        except requests.RequestException as error:
            raise _failure(error) from None

    def _exchange(self, request: UpstreamRequest, key: str, deadline: Deadline) -> Reply:
        settings, left = self.settings, max(deadline.remaining(), 0.001)
        try:
            response = self._session.request(
                request.method,
                settings.base_url + request.path,
                data=request.body,
                headers=_headers(request, key),
                timeout=(min(settings.connect_seconds, left), min(settings.idle_seconds, left)),
                allow_redirects=False,  # the key goes to the configured host alone
                stream=True,
            )
        finally:
            self._used_at = time.monotonic()
        return Reply(response)


class _Adapter(HTTPAdapter):
    """An adapter that can tell whether a call made a new connection."""

    _pool: Any = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        self._pool = pool = super().get_connection_with_tls_context(*args, **kwargs)
        return pool

    def connections(self) -> int:
        return getattr(self._pool, "num_connections", 0)


def too_slow() -> RelayError:
    """Return the failure of a provider that kept us waiting."""
    return UpstreamTimedOut(
        "The provider did not answer in time. Ask for a stream or for fewer tokens, or try again."
    )


def _headers(request: UpstreamRequest, key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": request.accept,
        "Accept-Encoding": "identity",  # a compressor would hold events back
        "User-Agent": "llm-relay",
    }


def _failure(error: requests.RequestException) -> RelayError:
    """Translate, and keep apart what was never sent from what may have been answered."""
    if isinstance(error, requests.ReadTimeout):
        return too_slow()
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(cause, MaxRetryError):
        return UpstreamUnreachable(
            "The provider cannot be reached. Check the base URL, and that the function has a way "
            "to the internet (in a VPC that takes a NAT gateway); then try again."
        )
    return UpstreamBroke(
        "The provider hung up before it answered. It may have been paid for, so it was not asked "
        "again."
    )
