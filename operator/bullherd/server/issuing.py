"""Making certificates, and reading those that a Secret or an APIService holds.

Keys are on the curve P-256, which every API server speaks. Validity begins a little in the past, for clocks
that are behind ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bullherd.core.certificates import Authority, Leaf, StoredCertificates

CA, CA_KEY = "ca.crt", "ca.key"
LEAF, LEAF_KEY = "tls.crt", "tls.key"
"""The keys of the Secret."""

_BACKDATED = timedelta(minutes=5)

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def stored_certificates(data: Mapping[str, str]) -> StoredCertificates:
    """What a Secret holds, as the core sees it. What cannot be read counts as not there."""
    authorities = read_authorities(data.get(CA, ""))
    can_sign = bool(authorities) and _fits(authorities[0].pem, data.get(CA_KEY, ""))
    leaf = None
    if _fits(data.get(LEAF, ""), data.get(LEAF_KEY, "")):
        leaf = _read_leaf(data[LEAF], authorities)
    return StoredCertificates(authorities, can_sign, leaf)


def read_authorities(pem: str) -> tuple[Authority, ...]:
    """The certificates of a bundle, without what is none."""
    found = (_load(text) for text in _CERTIFICATE.findall(pem))
    return tuple(_authority(certificate) for certificate in found if certificate is not None)


def issue_authority(name: str, now: float, lifetime: float) -> tuple[Authority, str]:
    """A new authority and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins = datetime.fromtimestamp(now, UTC)
    # Authorities that follow each other differ in name, so that nobody takes one's signature for the other's.
    subject = _name(f"{name} {begins:%Y-%m-%d %H:%M:%S}")
    certificate = (
        _builder(subject, subject, key, begins, begins + timedelta(seconds=lifetime))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    return _authority(certificate), _key_pem(key)


def issue_leaf(
    authority: Authority, authority_key: str, names: Collection[str], now: float, lifetime: float
) -> tuple[str, str]:
    """A certificate for a server of these DNS names and its key; it ends with its authority at the latest."""
    signer, signer_key = x509.load_pem_x509_certificate(authority.pem.encode()), _load_key(authority_key)
    assert signer_key is not None
    key = ec.generate_private_key(ec.SECP256R1())
    begins = datetime.fromtimestamp(now, UTC)
    ends = min(begins + timedelta(seconds=lifetime), signer.not_valid_after_utc)
    first, *_ = names
    certificate = (
        _builder(_name(first), signer.subject, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False
        )
        .sign(signer_key, SHA256())
    )
    return _pem(certificate), _key_pem(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    # 64 characters are the limit of a common name; what counts for a server are its DNS names.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_leaf(pem: str, authorities: Collection[Authority]) -> Leaf | None:
    certificate = _load(pem)
    if certificate is None:
        return None
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = frozenset(names.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        dns_names = frozenset()
    issuer = next((one for one in authorities if _signed(one, certificate)), None)
    return Leaf(certificate.not_valid_after_utc.timestamp(), dns_names, issuer)


def _signed(authority: Authority, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem.encode()))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _authority(certificate: x509.Certificate) -> Authority:
    return Authority(_pem(certificate), certificate.not_valid_after_utc.timestamp())


def _fits(certificate_pem: str, key_pem: str) -> bool:
    """Whether both can be read and belong together."""
    certificate, key = _load(certificate_pem), _load_key(key_pem)
    if certificate is None or key is None:
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def _load(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None


def _load_key(pem: str) -> ec.EllipticCurvePrivateKey | None:
    """None for keys of other kinds, too: they are not ours."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
