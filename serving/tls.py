"""A throw-away certificate, for clients that insist on https and wss before a service of this machine alone.

Signed by itself: a client is told to trust the file (npm's `openai`: NODE_EXTRA_CA_CERTS). Made anew at each start.
"""

import ipaddress
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from models.errors import InvalidRequest

VALID = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True)
class Certificate:
    """Files of PEM. keyfile None: the key is in the certfile too."""

    certfile: Path
    keyfile: Path | None = None


def self_signed(folder: Path, names: Iterable[str]) -> Certificate:
    """A new one for these names and addresses, in `folder`; only its owner may read the key."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Certificate(folder / "self-signed.pem", folder / "self-signed.key")
    assert made.keyfile is not None
    key = ec.generate_private_key(ec.SECP256R1())
    pem, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    with open(os.open(made.keyfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, nothing))
    made.certfile.write_bytes(_signed(key, names).public_bytes(pem))
    return made


def check(certificate: Certificate) -> None:
    """Raises InvalidRequest where it cannot be served with."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.certfile, certificate.keyfile)
    except OSError as error:  # which ssl's own are too
        raise InvalidRequest(
            "certfile",
            f"is {str(certificate.certfile)!r}, which is no certificate as PEM, or not that of the key "
            f"({error.strerror or error}). Give the one to the other, or name the key's file as keyfile.",
        ) from error


def _signed(key: ec.EllipticCurvePrivateKey, names: Iterable[str]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley, signed by itself")])
    now = datetime.now(UTC)
    described = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)  # clients trust it as its own CA
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return described.sign(key, hashes.SHA256())


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
