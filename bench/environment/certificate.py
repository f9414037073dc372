"""A temporary certificate authority: all connections to the provider and AWS use TLS."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llm-relay bench")])
LIFETIME = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files of the server's certificate and key, and what its clients trust."""

    chain: Path
    key: Path
    bundle: Path

    @property
    def trust(self) -> dict[str, str]:
        """Environment that makes every client here trust the authority."""
        names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE")
        return dict.fromkeys(names, str(self.bundle))


def make(folder: Path) -> Certificate:
    """Make a certificate for loopback that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = Certificate(
        chain=folder / "chain.pem", key=folder / "key.pem", bundle=folder / "bundle.pem"
    )
    pem = _signed(key).public_bytes(serialization.Encoding.PEM)
    made.chain.write_bytes(pem)
    # Parsing public authorities is what costs time, so all are included, as in production.
    made.bundle.write_bytes(Path(certifi.where()).read_bytes() + pem)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _signed(key: EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())
