"""Encryption in transit: TLS 1.3 with 256-bit keys, and certificates for a local network."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from facecctv.errors import InputError, OutputError, SettingError

SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
OPENSSL_CONF = Path(__file__).parent / "openssl.cnf"
"""Limits OpenSSL to these suites when its environment variable OPENSSL_CONF names this file at
the start of the process: Python cannot choose suites of TLS 1.3 itself before 3.15."""

_CA_YEARS = 10
_LEAF_DAYS = 397
"""The longest that browsers accept."""
_RENEW_DAYS = 30


@dataclass(frozen=True)
class Certificate:
    """Files in PEM."""

    chain: Path
    key: Path


def context(certificate: Certificate) -> ssl.SSLContext:
    """For a server: TLS 1.3 only, and only SUITES.

    Raises SettingError where the process cannot limit itself to the suites, InputError for
    unusable files.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if hasattr(made, "set_ciphersuites"):
        made.set_ciphersuites(":".join(SUITES))
    if not limited(made):
        raise SettingError(
            f"OpenSSL speaks more than {' and '.join(SUITES)}: set OPENSSL_CONF to {OPENSSL_CONF}"
        )
    try:
        made.load_cert_chain(certificate.chain, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{certificate.chain}, {certificate.key}: unusable: {error}") from error
    return made


def limited(made: ssl.SSLContext | None = None) -> bool:
    """Whether a context of TLS 1.3, by default a new one, offers SUITES and nothing else."""
    if made is None:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if hasattr(made, "set_ciphersuites"):
            return True
    offered = {suite["name"] for suite in made.get_ciphers() if suite["protocol"] == "TLSv1.3"}
    return bool(offered) and offered <= set(SUITES)


def automatic(folder: Path, hosts: tuple[str, ...]) -> tuple[Certificate, str]:
    """A certificate for these names and addresses by a certificate authority of our own.

    Both live in the folder, readable by the owner alone, are made when missing, and the
    certificate is made anew when it runs out or lacks a host. Returns it with the SHA-256
    fingerprint of the authority. Raises OutputError if it cannot write.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, authority_key = _authority(folder)
        leaf = Certificate(folder / "server.pem", folder / "server-key.pem")
        if not _good(leaf, authority, hosts):
            _issue(leaf, authority, authority_key, hosts)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from error
    return leaf, authority.fingerprint(hashes.SHA256()).hex(":").upper()


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_file, key_file = folder / "ca.pem", folder / "ca-key.pem"
    if certificate_file.is_file() and key_file.is_file():
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        except ValueError as error:
            raise InputError(f"{folder} holds a damaged authority: remove it") from error
        if isinstance(key, ec.EllipticCurvePrivateKey) and not _ending(certificate):
            return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FaceCCTV local authority")])
    certificate = (
        _builder(name, name, key, datetime.timedelta(days=365 * _CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _pem(key))
    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _issue(
    leaf: Certificate,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    hosts: tuple[str, ...],
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FaceCCTV server")])
    lifetime = datetime.timedelta(days=_LEAF_DAYS)
    certificate = (
        _builder(name, authority.subject, key, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    _write(leaf.key, _pem(key))
    _write(leaf.chain, certificate.public_bytes(pem) + authority.public_bytes(pem))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of other machines may be a little behind.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            try:
                names.append(x509.DNSName(host))
            except ValueError as error:
                raise SettingError(f"{host!r} cannot stand in a certificate") from error
    return names


def _good(leaf: Certificate, authority: x509.Certificate, hosts: tuple[str, ...]) -> bool:
    """Whether the certificate on disk can go on serving."""
    if not (leaf.chain.is_file() and leaf.key.is_file()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(leaf.chain.read_bytes())
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is made
        return False
    return set(_names(hosts)) <= set(named) and not _ending(certificate)


def _ending(certificate: x509.Certificate) -> bool:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_RENEW_DAYS)
    return certificate.not_valid_after_utc < soon


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> None:
    """Whole and for the owner alone, from the first byte on."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
    temporary.replace(path)
