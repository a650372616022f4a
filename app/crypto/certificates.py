"""X.509 certificates that vouch for nothing but their own key: what SAML calls a signing certificate."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import NameOID


def self_signed(der: bytes, *, name: str, serial: int, begins: datetime, ends: datetime) -> bytes:
    """The certificate of an RSA key (PKCS #8 DER) as DER. The same input gives the same bytes, because RSA with PKCS
    #1 v1.5 signs without chance. Raises ValueError for another kind of key."""
    key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    draft = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    return draft.sign(key, SHA256()).public_bytes(Encoding.DER)
