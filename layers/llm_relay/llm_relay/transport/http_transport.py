"""One exchange with the provider over HTTP; nothing else but its connections imports requests."""

from __future__ import annotations

import logging
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from http.client import HTTPException
from threading import Thread
from typing import TYPE_CHECKING, Any

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)
from urllib3.util import Timeout

from llm_relay.core.errors import RelayError, UpstreamFailed, UpstreamTimedOut, UpstreamUnreachable
from llm_relay.transport.body_reader import BodyReader
from llm_relay.transport.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_relay.core.deadline import Deadline
    from llm_relay.providers.settings import UpstreamSettings

MAX_ANSWER_BYTES = 32 * 1024 * 1024

# Its warnings quote what the provider sent.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One call to the provider."""

    method: str
    path: str  # below the base URL
    model: str = ""  # whose limits it counts against, if any
    body: bytes | None = None
    accept: str = "application/json"


class HttpReply:
    """The provider's answer: status and headers are there, the body comes."""

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

    def take(self, seconds: float) -> bytes:
        """Return what has come, b"" at the end; TimeoutError after that many silent seconds."""
        seconds = min(seconds, self._idle_seconds - self._silent_seconds)
        try:
            piece = self._body.take(seconds)
        except TimeoutError:
            self._silent_seconds += seconds
            if self._silent_seconds >= self._idle_seconds:
                raise timeout_error() from None
            raise
        self._silent_seconds = 0.0
        return piece

    def whole(self, deadline: Deadline, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the body; UpstreamTimedOut if it comes too late, UpstreamBroke if too long."""
        body = bytearray()
        while piece := self._take_within(deadline):
            body += piece
            if len(body) > limit:
                raise UpstreamFailed("The provider's answer is too long to be one.")
        return bytes(body)

    def close(self) -> None:
        """Drop the connection, unless the body was read to its end and it has been given back."""
        self._response.close()

    def _take_within(self, deadline: Deadline) -> bytes:
        seconds = deadline.remaining()
        if not seconds:
            raise timeout_error()
        try:
            return self.take(seconds)
        except TimeoutError:
            raise timeout_error() from None


class HttpTransport:
    """The provider behind one base URL, over connections that are kept."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        # No session: it asks the environment on each call, follows redirects with the key, which
        # goes to the configured host alone, and keeps one caller's cookies for another.
        self._connections = Connections(settings)
        self._proxies = dict(get_environ_proxies(settings.base_url))
        self._forms: dict[tuple[str, str, str], requests.PreparedRequest] = {}
        self._opening: Thread | None = None

    def open_ahead(self) -> None:
        """Begin to connect while there is something else to wait for before the first call."""
        if self._proxies:
            return
        work = (self.settings.base_url, self.settings.connect_seconds)
        opening = Thread(target=self._connections.open_one, args=work, daemon=True)
        with suppress(RuntimeError):  # there is no thread to be had, and no need for one
            opening.start()
            self._opening = opening

    def wait_for_opening(self, seconds: float) -> None:
        """Wait until what was begun by `open_ahead` has come to an end, one way or the other."""
        opening = self._opening
        if opening:
            opening.join(seconds)
            self._opening = None

    def send(self, request: HttpRequest, key: str, deadline: Deadline) -> HttpReply:
        """Return the reply, whatever its status; the caller closes it.

        Raises UpstreamUnreachable if nothing was sent, else UpstreamBroke or UpstreamTimedOut.
        """
        try:
            return self._exchange(request, key, deadline)
        except (requests.RequestException, HTTPError) as error:
            raise _failure(error) from None

    def _exchange(self, request: HttpRequest, key: str, deadline: Deadline) -> HttpReply:
        settings = self.settings
        self.wait_for_opening(min(settings.connect_seconds, deadline.remaining()))
        left = max(deadline.remaining(), 0.001)
        timeout: Any = Timeout(left, settings.connect_seconds, settings.idle_seconds)
        response = self._connections.send(
            _filled_in(self._form(request), request.body, key),
            timeout=timeout,
            proxies=self._proxies,
            stream=True,
        )
        return HttpReply(response, settings.idle_seconds)

    def _form(self, request: HttpRequest) -> requests.PreparedRequest:
        """Return what all requests of a kind have in common: preparing costs as much as sending."""
        kind = (request.method, request.path, request.accept)
        if kind not in self._forms:
            url, headers = self.settings.base_url + request.path, _headers(request.accept)
            self._forms[kind] = requests.Request(request.method, url, headers).prepare()
        return self._forms[kind]


def _filled_in(
    form: requests.PreparedRequest, body: bytes | None, key: str
) -> requests.PreparedRequest:
    request = copy(form)
    headers: Any = {**form.headers, "Authorization": f"Bearer {key}"}
    if body is not None:
        headers["Content-Length"] = str(len(body))
    request.headers = headers  # a plain dict: the one of requests is slow, and minds the case alone
    request.body = body
    return request


def timeout_error() -> RelayError:
    """Return the failure of a provider that kept us waiting."""
    return UpstreamTimedOut(
        "The provider did not answer in time. Ask for a stream or for fewer tokens, or try again."
    )


def _was_never_sent(error: requests.RequestException | HTTPError) -> bool:
    if isinstance(error, requests.exceptions.InvalidURL | LocationValueError):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(reason, ProxyError):  # also raised for a reset in use
        return not isinstance(reason.original_error, ConnectionError | HTTPException)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _headers(accept: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Accept": accept,
        "Accept-Encoding": "identity",  # a compressor would hold events back
        "User-Agent": "llm-relay",
    }


def _failure(error: requests.RequestException | HTTPError) -> RelayError:
    """Translate, and keep apart what was never sent from what may have been answered."""
    if isinstance(error, requests.ReadTimeout):
        return timeout_error()
    if _was_never_sent(error):
        return UpstreamUnreachable(
            "The provider cannot be reached. Check the base URL, and that the function has a way "
            "to the internet (in a VPC that takes a NAT gateway); then try again."
        )
    return UpstreamFailed(
        "The provider hung up before it answered. It may have been paid for, so it was not asked "
        "again."
    )
