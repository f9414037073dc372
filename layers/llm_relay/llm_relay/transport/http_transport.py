"""Sends requests to one server over HTTP and reads the answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from threading import Thread
from typing import TYPE_CHECKING, Any

import requests
from requests.utils import get_environ_proxies
from urllib3 import exceptions
from urllib3.util import Timeout

from llm_relay.core.errors import RelayError, UpstreamFailed, UpstreamTimedOut, UpstreamUnreachable
from llm_relay.transport.body_reader import BodyReader
from llm_relay.transport.connections import ConnectionAdapter

if TYPE_CHECKING:
    from llm_relay.core.deadline import Deadline
    from llm_relay.transport.settings import TransportSettings

MAX_ANSWER_BYTES = 32 * 1024 * 1024
_HEADERS = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",  # a compressor would hold events back
    "User-Agent": "llm-relay",
}

# urllib3's warnings quote what the provider sent.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request to the provider."""

    method: str
    path: str  # below the base URL
    model: str = ""  # whose rate limit it counts against, if any
    body: bytes | None = None
    accept: str = "application/json"


class HttpReply:
    """The provider's answer: status and headers, and the body as it arrives."""

    def __init__(self, response: requests.Response, idle_seconds: float) -> None:
        self._response = response
        self._body = BodyReader(response.raw)
        self._idle_seconds = idle_seconds
        self._silent_seconds = 0.0
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def read(self, seconds: float) -> bytes:
        """Return what has arrived, b"" at the end; TimeoutError if nothing arrives in time.

        UpstreamTimedOut after the maximum silence within an answer, over all calls.
        """
        seconds = min(seconds, self._idle_seconds - self._silent_seconds)
        try:
            piece = self._body.read(seconds)
        except TimeoutError:
            self._silent_seconds += seconds
            if self._silent_seconds >= self._idle_seconds:
                raise timeout_error() from None
            raise
        self._silent_seconds = 0.0
        return piece

    def read_all(self, deadline: Deadline, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the body; UpstreamTimedOut after the deadline, UpstreamFailed if too long."""
        body = bytearray()
        while seconds := deadline.remaining():
            with suppress(TimeoutError):
                if not (piece := self.read(seconds)):
                    return bytes(body)
                body += piece
                if len(body) > max_bytes:
                    raise UpstreamFailed(f"The provider's answer is longer than {max_bytes} bytes.")
        raise timeout_error()

    def close(self) -> None:
        """Close the connection, unless the body was read completely and the pool has it back."""
        self._response.close()


class HttpTransport:
    """The server behind one base URL, over connections that are kept open."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        # No session: it would read the environment on each call, follow redirects with the key
        # to other hosts, and keep one caller's cookies for another.
        self._connections = ConnectionAdapter(settings)
        self._proxies = dict(get_environ_proxies(settings.base_url))
        self._preconnecting: Thread | None = None

    def preconnect(self) -> None:
        """Start connecting in a thread, while the first request still waits for something else."""
        if self._proxies:
            return
        thread = Thread(target=self._connections.preconnect, name="preconnect", daemon=True)
        with suppress(RuntimeError):  # no thread is available, and none is needed
            thread.start()
            self._preconnecting = thread

    def wait_for_preconnect(self, seconds: float) -> None:
        """Wait until `preconnect` has ended, successfully or not."""
        if thread := self._preconnecting:
            thread.join(seconds)
            self._preconnecting = None

    def send(self, request: HttpRequest, key: str, deadline: Deadline) -> HttpReply:
        """Return the reply, whatever its status; the caller closes it.

        Raises UpstreamUnreachable if nothing was sent, else UpstreamFailed or UpstreamTimedOut.
        """
        settings = self._settings
        self.wait_for_preconnect(min(settings.connect_seconds, deadline.remaining()))
        total = max(deadline.remaining(), 0.001)
        timeout: Any = Timeout(total, settings.connect_seconds, settings.read_idle_seconds)
        try:
            response = self._connections.send(
                self._prepare(request, key), timeout=timeout, proxies=self._proxies, stream=True
            )
            return HttpReply(response, settings.read_idle_seconds)
        except (requests.RequestException, exceptions.HTTPError) as error:
            raise _relay_error(error) from None

    def _prepare(self, request: HttpRequest, key: str) -> requests.PreparedRequest:
        prepared = copy(self._template)
        prepared.method, prepared.body = request.method, request.body
        prepared.url = f"{self._template.url}{request.path}"
        headers: Any = _HEADERS | {"Accept": request.accept, "Authorization": f"Bearer {key}"}
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
        prepared.headers = headers  # a plain dict: the one of requests is slow
        return prepared

    @cached_property
    def _template(self) -> requests.PreparedRequest:
        """A request to the base URL: preparing it costs as much as sending it."""
        return requests.Request("GET", self._settings.base_url).prepare()


def timeout_error() -> RelayError:
    """Return the error for a provider that did not answer in time."""
    return UpstreamTimedOut(
        "The provider did not answer in time. Ask for a stream or for fewer tokens, or try again."
    )


def _relay_error(error: requests.RequestException | exceptions.HTTPError) -> RelayError:
    """Translate an error; what was never sent may be retried, all else may have been answered."""
    if isinstance(error, requests.ReadTimeout):
        return timeout_error()
    if _was_never_sent(error):
        return UpstreamUnreachable(
            "The provider cannot be reached. Check the base URL, and that the function can reach "
            "the internet (in a VPC that requires a NAT gateway); then try again."
        )
    return UpstreamFailed(
        "The provider closed the connection before it answered. The request may have been charged, "
        "so it was not retried."
    )


def _was_never_sent(error: requests.RequestException | exceptions.HTTPError) -> bool:
    if isinstance(error, requests.exceptions.InvalidURL | exceptions.LocationValueError):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, exceptions.MaxRetryError) else None
    if isinstance(reason, exceptions.ProxyError):  # also raised for a connection reset during use
        return not isinstance(reason.original_error, ConnectionError | HTTPException)
    return isinstance(reason, exceptions.NewConnectionError | exceptions.ConnectTimeoutError)
