"""Certificates: the files that the server is given, and what the base URL shows."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from app import installation
from app.config import Settings, SettingsError
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject

tell = Group("tls")

SECONDS = 5.0
SOON = timedelta(days=21)
"""Certificates that live for 90 days are renewed 30 days before their end: whose renewal failed has had nine days."""


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    if not settings.https:
        return [tell.fine("https", "The base URL is http: there is no certificate.")]
    host, now = urlsplit(settings.base_url).hostname or "", subject.now()
    found: list[Finding] = []
    chain: list[x509.Certificate] = []
    if settings.tls_certificate:
        found, chain = _files(settings, host, now)
    return [*found, *_served(settings, host, now, chain[0] if chain else None)]


def _files(settings: Settings, host: str, now: datetime) -> tuple[list[Finding], list[x509.Certificate]]:
    path = settings.tls_certificate
    try:
        installation.tls_files(settings)
        chain = x509.load_pem_x509_certificates(path.read_bytes() if path else b"")
    except (SettingsError, ValueError, OSError) as wrong:
        fix = "COGNATE_TLS_CERTIFICATE and COGNATE_TLS_KEY: a PEM chain, the server's own first, and its private key"
        return [tell.problem("pair", str(wrong), fix)], []
    found = list(of_chain(chain, host, now))
    return found or [tell.fine("files", f"{path} and its key are a pair, until {_day(chain[0])}.")], chain


def of_chain(chain: Sequence[x509.Certificate], host: str, now: datetime) -> Iterator[Finding]:
    """What is to be said of a chain in a file, the server's own certificate first."""
    leaf = chain[0]
    yield from _of_time(leaf, now)
    if not names(leaf, host):
        fix = f"a certificate whose subjectAltName has {host} (and *.{host}, for prefix domains of pools)"
        yield tell.problem("name", f"The certificate is not for {host}, the host of COGNATE_BASE_URL.", fix)
    for one, issuer in zip(chain, chain[1:], strict=False):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            what = f"In the certificate file, {_subject(issuer)} follows {_subject(one)} and has not issued it"
            fix = "put the server's own certificate first and each issuer after what it has issued (fullchain.pem)"
            yield tell.problem("chain", f"{what}.", fix)
    if len(chain) == 1 and leaf.issuer != leaf.subject:
        what = (
            "The certificate file has no certificate of the issuer, which clients need to find a root that they trust"
        )
        yield tell.advice("chain", f"{what}.", "give the whole chain (fullchain.pem) in COGNATE_TLS_CERTIFICATE")


def _of_time(leaf: x509.Certificate, now: datetime) -> Iterator[Finding]:
    renew = "renew it; a proxy that ends TLS has to be reloaded then, and Cognate takes its new files by itself"
    if now >= leaf.not_valid_after_utc:
        yield tell.problem("expired", f"The certificate has expired on {_day(leaf)}.", renew)
    elif now < leaf.not_valid_before_utc:
        what = f"The certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"
        yield tell.problem("not-yet-valid", f"{what}.", "give one that is valid now, or put this host's clock right")
    elif leaf.not_valid_after_utc - now < SOON:
        yield tell.advice("expires", f"The certificate expires on {_day(leaf)}.", renew)


def names(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for a host (RFC 9525, 6.3): by its subjectAltName alone."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(host) in found.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    told = {name.lower() for name in found.get_values_for_type(x509.DNSName)}
    return host in told or f"*.{host.partition('.')[2]}" in told


def _served(settings: Settings, host: str, now: datetime, own: x509.Certificate | None) -> list[Finding]:
    where = (host, urlsplit(settings.base_url).port or 443)
    try:
        refused = _refused(where, trust(settings))
        leaf = x509.load_der_x509_certificate(_shown(where))
    except (OSError, ValueError) as failed:
        said = getattr(failed, "strerror", None) or str(failed) or type(failed).__name__
        return [tell.skipped("served", f"{settings.base_url} shows no certificate from here: {said}.")]
    ending = list(_of_time(leaf, now))
    found = [] if leaf == own else ending  # it has been told of the file
    if refused:
        what = f"Clients refuse the certificate of {settings.base_url}: {refused}"
        fix = f"a certificate for {host} with the whole chain of a public authority"
        found.append(tell.problem("trust", f"{what}.", fix))
    if own is not None and not settings.trusted_proxies and own != leaf:
        what = "The server still shows another certificate than the one in the file"
        found.append(
            tell.problem("renewed", f"{what}.", "the server takes a new file by itself: its log says why it has not")
        )
    if found or ending:
        return found
    return [tell.fine("served", f"{settings.base_url} shows a certificate that is good until {_day(leaf)}.")]


def trust(settings: Settings) -> ssl.SSLContext:
    """What a client of this installation trusts: the system's authorities, or the certificate that it made itself.
    Raises OSError where it has not made it yet."""
    made = settings.data_dir / installation.MADE_CERTIFICATE if settings.tls == "self-signed" else None
    return ssl.create_default_context(cafile=made)


def _refused(where: tuple[str, int], context: ssl.SSLContext) -> str | None:
    """Why a client that knows these authorities refuses what is shown there; None if it does not. Raises OSError."""
    with socket.create_connection(where, timeout=SECONDS) as plain:
        try:
            context.wrap_socket(plain, server_hostname=where[0]).close()
        except ssl.SSLCertVerificationError as refused:
            return str(refused.verify_message).rstrip(".")
    return None


def _shown(where: tuple[str, int]) -> bytes:
    """The certificate that is shown there, as DER, whatever it is worth: nothing is sent there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(where, timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=where[0]) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"
