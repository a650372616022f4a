"""Keeping secrets in rows: sealed where they must be read again, keyed hashes where they need only be recognised."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.crypto import base64url

_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"
_SEALED = re.compile(r"v1\.([0-9a-f]{8})\.")


class SealBroken(Exception):
    """The text cannot be opened: wrong key, altered, or sealed about something else. The message names what it is
    about, its pool if that was given, and the id of its key; never the text."""


def key_id(key: bytes) -> str:
    """A public name for a 32-byte key: 8 hex characters, which tell nothing about it."""
    return hashlib.sha256(b"cognate key id\0" + _checked(key)).hexdigest()[:8]


class Seal:
    """AES-256-GCM with a 12-byte random nonce: `v1.<key id>.<base64url of nonce, ciphertext and tag>`.

    Seals with `key`, opens with `key` and any of `older`, so that a key can be replaced while old rows are read.
    One key may seal 2^32 values before random nonces are likely enough to collide to matter (NIST SP 800-38D, 8.3).
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        """Keys are 32 random bytes. Raises ValueError for any other length."""
        self._id = key_id(key)
        self._ciphers = {key_id(each): AESGCM(_encryption_key(each)) for each in (key, *older)}

    @property
    def key_id(self) -> str:
        """Of the key that it seals with."""
        return self._id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Of the keys that it opens with, first the one that it seals with."""
        return tuple(self._ciphers)

    def seal(self, plain: bytes, *, about: str) -> str:
        """Seal `plain`. `about` names the one place it belongs to, such as `totp seed of <sub>`; it is not kept."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._id].encrypt(nonce, plain, _associated(about))
        return f"{_VERSION}.{self._id}.{base64url.encode(nonce + sealed)}"

    def open(self, sealed: str, *, about: str, pool: str | None = None) -> bytes:
        """What was sealed about the same thing. Raises SealBroken for everything else, which then names the `pool`.

        `about` is authenticated: whoever can write to the database, but does not hold the key, cannot move a sealed
        value of their own into the row of somebody else.
        """
        try:
            version, key, text = sealed.split(".")
            cipher = self._ciphers[key]
            raw = base64url.decode(text)
            if version != _VERSION:
                raise SealBroken(_broken(sealed, about, pool, "its version is unknown"))
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _associated(about))
        except KeyError:
            raise SealBroken(_broken(sealed, about, pool, "no key of that id was given")) from None
        except (ValueError, InvalidTag):
            raise SealBroken(_broken(sealed, about, pool, "altered, or sealed about something else")) from None


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) under a key of the installation, for values that are random to begin with.

    For client secrets, codes and refresh tokens: who steals the rows alone can neither use nor guess them. Six digits
    are safe only as long as the key is; passwords belong into `passwords.Hasher`.
    """

    def __init__(self, key: bytes) -> None:
        """The key is 32 random bytes. Raises ValueError for any other length."""
        self._key = _checked(key)

    def digest(self, purpose: str, value: str) -> str:
        """43 characters of base64url; the same value hashed for another purpose has nothing in common with it."""
        return base64url.encode(hmac.digest(self._key, _framed("digest", purpose, value), "sha256"))

    def number(self, purpose: str, value: str, size_bytes: int) -> bytes:
        """`size_bytes` bytes that look random and are the same every time, for what must be invented consistently.

        A person who does not exist needs an SRP salt that is there again at the next try.
        """
        blocks = -(-size_bytes // hashlib.sha256().digest_size)
        stream = (hmac.digest(self._key, _framed("number", purpose, value, str(i)), "sha256") for i in range(blocks))
        return b"".join(stream)[:size_bytes]


def same(a: str, b: str) -> bool:
    """Equality in a time that does not depend on where two texts differ; their length may show."""
    # compare_digest refuses non-ASCII str with a TypeError, which a stranger's secret must not be able to provoke.
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def _checked(key: bytes) -> bytes:
    if len(key) != _KEY_BYTES:
        raise ValueError(f"a key is {_KEY_BYTES} bytes, not {len(key)}")
    return key


def _encryption_key(key: bytes) -> bytes:
    # Derived (RFC 5869), so that an installation that hands one and the same key to Seal and to KeyedHash still uses
    # two unrelated ones.
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"cognate seal " + _VERSION.encode()).derive(key)


def key_id_of(sealed: str) -> str | None:
    """The id of the key that a text says it was sealed with; None for what is no sealed text."""
    found = _SEALED.match(sealed)
    return found[1] if found else None


def _broken(sealed: str, about: str, pool: str | None, why: str) -> str:
    """What is given may come from a client: it is not repeated, but for a key id that looks like one."""
    where = f" of pool {pool}" if pool else ""
    return f"cannot open the {about}{where}, sealed with key {key_id_of(sealed) or 'unknown'}: {why}"


def _associated(about: str) -> bytes:
    return b"cognate seal\0" + about.encode("utf-8", "surrogatepass")


def _framed(*parts: str) -> bytes:
    # Lengths in front: ("ab", "c") and ("a", "bc") must not hash alike.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
