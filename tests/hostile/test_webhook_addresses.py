"""Where a webhook may lead: to the internet over TLS, and never into a network."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests import adapters

from llm_relay.notifications.events import Webhook
from llm_relay.transport.public_addresses import is_public

if TYPE_CHECKING:
    from pathlib import Path

EVENT = {"id": "evt_1", "type": "batch.completed", "data": {"id": "batch_1"}}
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "169.254.170.2", "169.254.100.1"),  # what AWS tells a machine of itself
    *("100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:93.184.215.14", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),  # NAT64
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:5db8:d70e::1"),  # 6to4
    *("2001::1", "2001:0:7f00:1::1", "2001:db8::1", "100::1", "2001:10::1"),
]
WRITTEN_OTHERWISE = [
    *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "127.1", "0", "localhost"),
    *("[::1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]"),
]


NAME = "hook.example.com"
TIMEOUT_SECONDS = 30


class Network:
    """Names stand for what a test says, one answer after another; all calls end on loopback."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.called: list[str] = []
        self.leads_to: Any = None  # nowhere

    def look_up(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        found = [host] if host in PUBLIC else self.answers[0]
        if host not in PUBLIC and len(self.answers) > 1:
            self.answers.pop(0)
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


@pytest.fixture
def network(environment: pytest.MonkeyPatch) -> Network:
    """The internet, of which nothing is there."""
    made, connect = Network(), socket.socket.connect

    def redirected(self: socket.socket, where: Any) -> None:
        made.called.append(where[0])
        if made.leads_to is None:
            raise ConnectionRefusedError
        connect(self, made.leads_to)

    environment.setattr(socket, "getaddrinfo", made.look_up)
    environment.setattr(socket.socket, "connect", redirected)
    return made


def send(url: str, pauses: tuple[float, ...] = ()) -> None:
    Webhook(url=url, secret=lambda: "plain secret", pauses=pauses).send(EVENT)


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    found: str = json.loads(capsys.readouterr().out)["failure"]
    return found


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_a_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [*PUBLIC, "8.8.8.8", "2600:1f18::1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_resolves_to_an_inner_address_is_not_called(
    address: str, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in ([address], [PUBLIC[0], address], [address, PUBLIC[0]]):
        network.answers = [answer]
        send(f"https://{NAME}/", pauses=(0, 0))
        assert (failure(capsys), network.called) == ("NotPublicError", [])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("host", WRITTEN_OTHERWISE)
def test_an_inner_address_is_not_called_however_it_is_written(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        send(f"https://{host}:{canary.getsockname()[1]}/hook")
        assert failure(capsys) == "NotPublicError"
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_the_checked_address_is_the_one_that_is_called(network: Network) -> None:
    network.answers = [[PUBLIC[0]], ["127.0.0.1"]]
    send(f"https://{NAME}/")
    assert network.called == [PUBLIC[0]]


def test_a_name_is_checked_at_every_attempt(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    network.answers = [[PUBLIC[0]], ["169.254.169.254"]]
    send(f"https://{NAME}/", pauses=(0, 0))
    assert (failure(capsys), network.called) == ("NotPublicError", [PUBLIC[0]])


def test_every_address_of_a_name_is_tried(network: Network) -> None:
    network.answers = [PUBLIC]
    send(f"https://{NAME}/")
    assert network.called == PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://{NAME}:{port}/" for port in (0, 1, 22, 25, 80, 444, 1023)),
        *(f"{scheme}://{NAME}/" for scheme in ("http", "ftp", "file", "gopher", "unix", "")),
        *(f"http://{host}/" for host in ("169.254.169.254", "localhost", "127.0.0.2", "[::1]")),
        *("http://127.0.0.1@169.254.169.254/", f"https://{NAME}:x/", f"https://{NAME}:99999/"),
        *("https://", "https:///hook", "//127.0.0.1/", "https://[::1/"),
        *("HTTP://127.0.0.1.example.com", "https://127.0.0.1\\@example.com:25/"),
    ],
)
def test_a_url_of_another_kind_or_port_is_not_called(
    url: str, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    network.answers = [PUBLIC]
    send(url)
    assert failure(capsys)
    assert network.called == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate of NAME, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now, day = datetime.now(UTC), timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = tmp_path_factory.mktemp("authority") / "all.pem"
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path


class Hook(Thread):
    """A server that speaks TLS as NAME and records what it received, and for which name."""

    def __init__(self, authority: Path) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT_SECONDS)
        self.received, self.asked_as = b"", ""
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(authority)
        self._context.sni_callback = self._note

    def _note(self, _: Any, name: str, __: Any) -> None:
        self.asked_as = name

    def run(self) -> None:
        with suppress(OSError):
            plain, _ = self.listener.accept()
            with self._context.wrap_socket(plain, server_side=True) as connection:
                while not self.received.endswith(b"}") and (piece := connection.recv(65_536)):
                    self.received += piece
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize(("name", "arrives"), [(NAME, True), ("other.example.com", False)])
def test_the_certificate_must_match_the_name_although_an_address_is_called(
    name: str, arrives: bool, network: Network, authority: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(adapters, "DEFAULT_CA_BUNDLE_PATH", str(authority))
    hook = Hook(authority)
    network.answers, network.leads_to = [PUBLIC], hook.listener.getsockname()
    hook.start()
    send(f"https://{name}/hook")
    hook.join(TIMEOUT_SECONDS)
    hook.listener.close()
    assert network.called == [PUBLIC[0]]
    assert hook.asked_as == name
    assert hook.received.startswith(b"POST /hook HTTP/1.1\r\nHost: hook.example.com") == arrives
    assert b"batch_1" in hook.received or not arrives
