"""AWS Signature Version 4, looked at from the server's side: whether a request was signed with a live access key.

What is expected is never told and never logged: it would be the signature that an attacker lacks.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus

from app import web
from app.api.errors import IncompleteSignature, InvalidSignature, MissingAuthenticationToken, UnrecognizedClient
from app.crypto.seal import same
from app.env import Env
from app.pools import access_keys
from app.pools.access_keys import SERVICE

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
SKEW = timedelta(minutes=5)
MUST_SIGN = ("host", "x-amz-date", "x-amz-target")
"""Without the first a request could be sent to another server, without the second at another time, and without the
third it could be made another operation."""


@dataclass(frozen=True)
class Signed:
    """The parts of a request that a signature covers. Header names in lower case."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    """The address at the other end of the connection."""


@dataclass(frozen=True)
class _Authorization:
    key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str


def verify(env: Env, request: Signed) -> str:
    """The id of the access key that signed the request.

    Raises MissingAuthenticationToken, IncompleteSignature, InvalidSignature, UnrecognizedClient.
    """
    claim = _parsed(request.headers.get("authorization"))
    if _trusted_laptop(env, request):
        env.cache.refresh()
        return claim.key_id
    moment = _moment(request.headers)
    _check_scope(env, claim, moment)
    _check_age(env, moment)
    for name in MUST_SIGN:
        if name not in claim.signed_headers:
            raise InvalidSignature(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    # Whoever administers reads right after writing, and another host may have written, or revoked the key. Not before
    # what costs nothing has been looked at: strangers send here as well.
    env.cache.refresh()
    key = _signing_key(env, claim)
    if key is None:
        raise UnrecognizedClient
    stated = request.headers.get("x-amz-content-sha256")
    payload = hashlib.sha256(request.body).hexdigest()
    if stated is not None and stated != payload:
        raise InvalidSignature("The value passed in as x-amz-content-sha256 does not match the computed hash.")
    if not same(_signature(key, claim, moment, _canonical(request, claim.signed_headers, payload)), claim.signature):
        raise InvalidSignature
    return claim.key_id


def _trusted_laptop(env: Env, request: Signed) -> bool:
    """In development, from this very machine and by its own name, any key will do.

    Not for a page in a browser on it: every site could then administer the pools of whoever visits it, because CORS
    is open to all. Browsers say Origin; nothing else does.
    """
    if not env.settings.development or "origin" in request.headers:
        return False
    return web.is_this_machine(request.peer, request.headers.get("host", ""))


_PARTS = re.compile(r"(Credential|SignedHeaders|Signature)=([^\s,]+)")


def _parsed(header: str | None) -> _Authorization:
    if not header:
        raise MissingAuthenticationToken
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Authorization header requires the algorithm {ALGORITHM}.")
    parts = dict(_PARTS.findall(rest))
    absent = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in parts]
    if absent:
        raise IncompleteSignature(" ".join(f"Authorization header requires '{name}' parameter." for name in absent))
    credential = parts["Credential"].split("/")
    if len(credential) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    key_id, date, region, service, terminator = credential
    signed = tuple(parts["SignedHeaders"].split(";"))
    return _Authorization(key_id, date, region, service, terminator, signed, parts["Signature"])


def _moment(headers: Mapping[str, str]) -> datetime:
    try:
        return datetime.strptime(headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise IncompleteSignature(
            "Authorization header requires existence of an 'X-Amz-Date' header in ISO-8601 basic format."
        ) from None


def _check_scope(env: Env, claim: _Authorization, moment: datetime) -> None:
    if claim.terminator != TERMINATOR:
        raise InvalidSignature(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if claim.service != SERVICE:
        raise InvalidSignature(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if claim.region != env.settings.region:
        raise InvalidSignature(f"Credential should be scoped to a valid region, not '{claim.region[:64]}'.")
    if claim.date != f"{moment:%Y%m%d}":
        raise InvalidSignature("Date in Credential scope does not match YYYYMMDD of the request's X-Amz-Date.")


def _check_age(env: Env, moment: datetime) -> None:
    now = env.now()
    stamp, ours = f"{moment:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%dT%H%M%SZ}"
    if moment < now - SKEW:
        bound = f"{now - SKEW:%Y%m%dT%H%M%SZ}"
        raise InvalidSignature(f"Signature expired: {stamp} is now earlier than {bound} ({ours} - 5 min.)")
    if moment > now + SKEW:
        bound = f"{now + SKEW:%Y%m%dT%H%M%SZ}"
        raise InvalidSignature(f"Signature not yet current: {stamp} is still later than {bound} ({ours} + 5 min.)")


def _signing_key(env: Env, claim: _Authorization) -> bytes | None:
    """The key derived for a day, region and service; kept until any configuration changes, a revocation included."""

    def derive() -> bytes | None:
        live = access_keys.live(env, claim.key_id)
        if live is None:
            return None
        key = b"AWS4" + live.secret.encode("utf-8")
        for part in (claim.date, claim.region, claim.service, claim.terminator):
            key = hmac.digest(key, part.encode("utf-8"), "sha256")
        return key

    return env.cache.get(("signing key", claim.key_id, claim.date), derive)


def _canonical(request: Signed, names: tuple[str, ...], payload: str) -> str:
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names]
    pairs = [pair.partition("=")[::2] for pair in request.query.split("&") if pair]
    query = sorted((quote(unquote_plus(k), "-_.~"), quote(unquote_plus(v), "-_.~")) for k, v in pairs)
    return "\n".join(
        [
            "POST",
            quote(request.path, "/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            "".join(headers),
            ";".join(names),
            payload,
        ]
    )


def _signature(key: bytes, claim: _Authorization, moment: datetime, canonical: str) -> str:
    scope = "/".join((claim.date, claim.region, claim.service, claim.terminator))
    hashed = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    text = f"{ALGORITHM}\n{moment:%Y%m%dT%H%M%SZ}\n{scope}\n{hashed}"
    return hmac.digest(key, text.encode("utf-8"), "sha256").hex()
