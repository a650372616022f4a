"""What the two proofs by SRP have in common, the password's and the device's: the numbers of an exchange, the block in
which they travel to the client and back, and the signature (reference: 5.2)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from app import errors
from app.crypto import srp
from app.crypto.seal import SealBroken, same
from app.env import Env

NEEDS = ("PASSWORD_CLAIM_SECRET_BLOCK", "PASSWORD_CLAIM_SIGNATURE", "TIMESTAMP")
CLOCK_SKEW = timedelta(minutes=5)
"""How far a client's TIMESTAMP may be from ours (the reference leaves it open)."""


@dataclass(frozen=True)
class Exchange:
    """The numbers of one exchange, hexadecimal: ours, the client's public one, our public one."""

    b: str
    a_public: str
    b_public: str


def public(given: Mapping[str, str]) -> str:
    """The client's A, hexadecimal. Raises errors.InvalidParameter."""
    a_public = given.get("SRP_A")
    if not a_public:
        raise errors.InvalidParameter("Missing required parameter SRP_A")
    try:
        srp.public_value(a_public)
    except srp.BadPublicValue:
        raise errors.InvalidParameter("SRP_A is not a valid public value") from None
    return a_public


def sealed(env: Env, block: Exchange, *, about: str) -> str:
    """SECRET_BLOCK of an exchange."""
    return base64.b64encode(env.seal.seal(orjson.dumps(block), about=about).encode("ascii")).decode("ascii")


def opened(env: Env, given: Mapping[str, str], *, about: str) -> dict[str, Any]:
    """What the block that a client brings back was made of. Raises errors.SessionInvalid."""
    text = given["PASSWORD_CLAIM_SECRET_BLOCK"]
    try:
        block = base64.b64decode(text, validate=True)
        # The decoder ignores the spare bits of the last letter. The same block in other letters has the same signature,
        # and would be another one to whoever remembers which have been used.
        if base64.b64encode(block).decode("ascii") != text:
            raise errors.SessionInvalid
        found: dict[str, Any] = orjson.loads(env.seal.open(block.decode("ascii"), about=about))
    except (ValueError, SealBroken):
        raise errors.SessionInvalid from None
    return found


def signed(env: Env, given: Mapping[str, str], block: Exchange, *, verifier: str, group: str, name: str) -> bool:
    """Whether the client's signature is that of somebody who knows the secret behind the verifier (hexadecimal).
    `group` and `name` are what both sides hash: short pool id and username, or the keys of group and device.

    Raises errors.NotAuthorized for a TIMESTAMP that is none, or too far from now.
    """
    timestamp = given["TIMESTAMP"]
    moment = srp.parse_timestamp(timestamp)
    if moment is None or abs(env.now() - moment) > CLOCK_SKEW:
        raise errors.NotAuthorized
    try:
        key = srp.session_key(verifier=verifier, b=int(block.b, 16), A=block.a_public, B=block.b_public)
    except srp.BadPublicValue:
        raise errors.NotAuthorized from None
    raw = base64.b64decode(given["PASSWORD_CLAIM_SECRET_BLOCK"], validate=True)
    return same(srp.signature(key, group, name, raw, timestamp), given["PASSWORD_CLAIM_SIGNATURE"])
