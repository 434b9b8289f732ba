"""Certificate authorities of the tests' own, and clients that they certify."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fixtures.server import ClientCertificate


class Authority:
    """It keeps its files in a folder; ``pem`` is what others trust it by."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _certificate(name, self._key, name, self._key, timedelta(days=1), signs=True)
        self._name = name
        self.pem = self._certificate.public_bytes(Encoding.PEM).decode()

    def certify(
        self, name: str, *, good_for: timedelta = timedelta(hours=1), for_servers: bool = False
    ) -> ClientCertificate:
        """A certificate for a client of this common name, or for a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if for_servers else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = _certificate(name, key, self._name, self._key, good_for, usage=usage)
        path = self._folder / f"{self._name}-{certificate.serial_number}"
        files = ClientCertificate(path.with_suffix(".crt"), path.with_suffix(".key"))
        files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    good_for: timedelta,
    *,
    signs: bool = False,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """Without alternative names, as kubeadm makes the front proxy's."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + good_for)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
