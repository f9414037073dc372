"""A provider behind TLS that plays the fault which each request names, and keeps the books."""

from __future__ import annotations

import random
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.fault import Asked, Form
from tests.faults.provider.answers import LISTING, PROVIDER_KEY, recorded
from tests.support.scripted_provider import ScriptedProvider, _read_request, stream, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.environment.certificate import Certificate
    from tests.faults.fault import Fault
    from tests.support.scripted_provider import Request, Script

# The fault, what the answer costs, and which call it is.
FATE = re.compile(rb"fate<([^|<>]*)\|(\d+)\|([^|<>]*)>")
# How a connection is begun; None: there is nothing to be said on it.
Greeting = Callable[[socket.socket], socket.socket | None]
_STREAMED = re.compile(rb'"stream": ?true')


@dataclass
class FaultyProvider(ScriptedProvider):
    """Answers each request as its fate says, all at once."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    certificate: Certificate | None = None
    billed: Counter[str] = field(default_factory=Counter)  # how often a call's work was done
    led_astray: list[str] = field(default_factory=list)  # paths asked for that we never named

    def __enter__(self) -> FaultyProvider:
        self._closing = threading.Event()
        self._books = threading.Lock()
        self._talks: set[socket.socket] = set()
        self._tls = server_context(self.certificate) if self.certificate else None
        self._greet: Greeting = self.secured
        self._port = _reserved()  # it stays reserved while the server is down
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.refuse()
        self._port.close()

    @property
    def base_url(self) -> str:
        """Where it is."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._port.getsockname()[1]}/v1"

    def listen(self) -> None:
        """Take connections."""
        self._listener = _reserved(self._port.getsockname()[1])
        self._listener.listen(1024)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def refuse(self) -> None:
        """Take no more connections, and hang up on everyone."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Hang up on everyone."""
        for talk in list(self._talks):
            with suppress(OSError):
                talk.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def greeting(self, greet: Greeting) -> Iterator[None]:
        """Begin connections in another way for a while."""
        self._greet = greet
        self.drop_connections()
        try:
            yield
        finally:
            self._greet = self.secured
            self.drop_connections()

    def secured(self, connection: socket.socket) -> socket.socket | None:
        """Begin a connection as one should."""
        connection.settimeout(30)  # with a peer that begins and says nothing
        talk = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
        talk.settimeout(None)
        talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return talk

    def _accept(self) -> None:
        listener = self._listener
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            talk = self._greet(connection)
            if talk is None:
                return
            self._talks.add(talk)
            try:
                self._serve(talk)
            finally:
                self._talks.discard(talk)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while request := _read_request(reader):
                if not self._play(connection, self._script(request)):
                    return

    def _script(self, request: Request) -> Script:
        if request.path == "/v1/models":
            return whole(200, LISTING)
        fate = FATE.search(request.body)
        surface = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}.get(request.path)
        if (
            not fate
            or not surface
            or request.headers.get("authorization") != f"Bearer {PROVIDER_KEY}"
        ):
            self.led_astray.append(request.path)
            return whole(404, {"error": {"message": "There is nothing here."}})
        form = Form(surface=surface, streamed=_STREAMED.search(request.body) is not None)
        name, cost, call = (part.decode() for part in fate.groups())
        asked = Asked(form=form, cost_nanos=int(cost), chance=random.Random(call))  # noqa: S311 - to be repeated
        fault = self.faults.get(name)
        with self._books:
            self.billed[call] += fault.is_billed if fault else True
        return fault.script(asked) if fault and fault.script else answer(asked)


def answer(asked: Asked) -> Script:
    """The answer as it should be."""
    body = recorded(asked.form, asked.cost_nanos)
    if not asked.form.streamed:
        return whole(200, body)
    return stream(*(event + b"\n\n" for event in body.split(b"\n\n")[:-1]))


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS as a server with this certificate speaks it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


def _reserved(port: int = 0) -> Any:
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", port))
    return reserved
