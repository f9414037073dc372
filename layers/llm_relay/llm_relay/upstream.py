"""One exchange with the provider over HTTP; nothing else but its connections imports requests."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from llm_relay.arrived import Arrived
from llm_relay.connections import Connections
from llm_relay.errors import RelayError, UpstreamBroke, UpstreamTimedOut, UpstreamUnreachable
from llm_relay.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.deadline import Deadline
    from llm_relay.settings import UpstreamSettings

PIECE_BYTES = 65536
LONGEST_ANSWER_BYTES = 32 * 1024 * 1024

# Its warnings quote what the provider sent.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """One call to the provider."""

    method: str
    path: str  # below the base URL
    body: bytes | None = None
    accept: str = "application/json"


class Reply:
    """The provider's answer: status and headers are there, the body comes."""

    def __init__(self, response: requests.Response, idle_seconds: float) -> None:
        self._response = response
        self._idle_seconds = idle_seconds
        self._pump: Pump | None = None
        self._arrived = Arrived(response.raw)
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError after that many silent seconds."""
        if self._pump is None:
            self._pump = Pump(self._read, self._is_more_here)
        return self._pump.take(seconds)

    def whole(self, deadline: Deadline, limit: int = LONGEST_ANSWER_BYTES) -> bytes:
        """Return the body; UpstreamTimedOut if it comes too late, UpstreamBroke if too long."""
        body = bytearray()
        while piece := self._read_within(deadline):
            body += piece
            if len(body) > limit:
                raise UpstreamBroke("The provider's answer is too long to be one.")
        return bytes(body)

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        with suppress(ValueError, RuntimeError, OSError):  # it has gone back by itself
            self._response.raw.shutdown()  # wakes a read that is under way
        if self._pump:
            self._pump.stop()
        self._response.close()

    def _read_within(self, deadline: Deadline) -> bytes:
        """Read here and now: a thread for each answer would cost as much as the rest of it."""
        seconds = deadline.remaining()
        if not seconds:
            raise too_slow()
        _be_patient(self._response, min(seconds, self._idle_seconds))
        return self._read()

    def _read(self) -> bytes:
        # iter_content would wait for the end whenever the provider does not chunk.
        try:
            return self._response.raw.read1(PIECE_BYTES, decode_content=True) or b""
        except ReadTimeoutError:
            raise too_slow() from None
        except (HTTPError, OSError):
            raise UpstreamBroke("The provider's answer broke off.") from None

    def _is_more_here(self) -> bool:
        try:
            return self._arrived.is_more()
        except (OSError, ValueError):
            raise UpstreamBroke("The provider's answer broke off.") from None


class Upstream:
    """The provider behind one base URL, over connections that are kept."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self._session = _Session()
        # Asking the environment on each call costs more than the rest of requests.
        self._session.trust_env = False
        self._session.proxies = dict(get_environ_proxies(settings.base_url))
        self._session.mount(settings.base_url, Connections(settings))
        # One caller's cookies are none of another's business.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, request: UpstreamRequest, key: str, deadline: Deadline) -> Reply:
        """Return the reply, whatever its status; the caller closes it.

        Raises UpstreamUnreachable if nothing was sent, else UpstreamBroke or UpstreamTimedOut.
        """
        try:
            return self._exchange(request, key, deadline)
        except requests.RequestException as error:
            raise _failure(error) from None

    def _exchange(self, request: UpstreamRequest, key: str, deadline: Deadline) -> Reply:
        settings, left = self.settings, max(deadline.remaining(), 0.001)
        response = self._session.request(
            request.method,
            settings.base_url + request.path,
            data=request.body,
            headers=_headers(request, key),
            timeout=(min(settings.connect_seconds, left), min(settings.idle_seconds, left)),
            allow_redirects=False,
            stream=True,
        )
        _be_patient(response, settings.idle_seconds)
        return Reply(response, settings.idle_seconds)


class _Session(requests.Session):
    """A session that takes a redirect for an answer: the key goes to the configured host alone."""

    def get_redirect_target(self, _response: Any) -> None:
        """Find none; requests would read the body first, and outside our deadline."""
        return


def _be_patient(response: requests.Response, seconds: float) -> None:
    """Let the body be silent for longer than there was time to wait for the head."""
    connection = response.raw.connection
    if connection and connection.sock:
        connection.sock.settimeout(seconds)


def too_slow() -> RelayError:
    """Return the failure of a provider that kept us waiting."""
    return UpstreamTimedOut(
        "The provider did not answer in time. Ask for a stream or for fewer tokens, or try again."
    )


def _was_never_sent(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(reason, SSLError):  # also raised for a connection that broke in use
        return bool(reason.args) and isinstance(reason.args[0], SSLCertVerificationError)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | ProxyError)


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
    if _was_never_sent(error):
        return UpstreamUnreachable(
            "The provider cannot be reached. Check the base URL, and that the function has a way "
            "to the internet (in a VPC that takes a NAT gateway); then try again."
        )
    return UpstreamBroke(
        "The provider hung up before it answered. It may have been paid for, so it was not asked "
        "again."
    )
