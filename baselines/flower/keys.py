"""The keys of one federation: files that only this user can read, in its folder, gone with it.

The certificate lets Flower's processes know their server from another process that listens in its place. The token is
Ray's: every process that asks one of Ray's for anything must know it.
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from machine.loopback import HOST

_LIFE = timedelta(days=365)  # longer than any run
_EARLIER = timedelta(days=1)  # a clock that is set back during the run must not make the certificate invalid


@dataclass(frozen=True)
class Keys:
    """Where the keys of a federation are.

    Parameters
    ----------
    authority
        The certificate that Flower's clients trust, and no other.
    certificate, key
        What Flower's servers show, and prove.
    ray_token
        The token of Ray's processes.
    """

    authority: Path
    certificate: Path
    key: Path
    ray_token: Path

    @classmethod
    def of(cls, folder: Path) -> Keys:
        """Return the places of the keys in a federation's folder."""
        return cls(*(folder / name for name in ("authority.pem", "server.pem", "server.key", "ray.token")))


def make_keys(folder: Path) -> Keys:
    """Make the keys of a federation in its folder.

    The authority's own key is thrown away: nobody can sign a second certificate.
    """
    keys = Keys.of(folder)
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    signer = "the authority of one run"
    root = _unsigned(signer, signer, authority).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    leaf = _unsigned(HOST, signer, server).add_extension(address, critical=False)
    private = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, certificate in ((keys.authority, root), (keys.certificate, leaf)):
        signed = certificate.sign(authority, hashes.SHA256())
        _write(path, signed.public_bytes(serialization.Encoding.PEM))
    _write(keys.key, private)
    _write(keys.ray_token, secrets.token_hex(32).encode())
    return keys


def _unsigned(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=_name(issuer),
        subject_name=_name(subject),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _EARLIER,
        not_valid_after=now + _LIFE,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(path: Path, content: bytes) -> None:
    path.touch(0o600, exist_ok=False)
    path.write_bytes(content)
