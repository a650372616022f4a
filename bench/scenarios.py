"""What is asked, and what a right answer is.

Each scenario looks at its first and last answers in full (signatures, issuer, audience, whose token it is) and at all
others by status and shape, so that a server that has begun to answer wrongly does not look fast.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import orjson
import pyotp
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bench import srp, wire
from bench.customer import ANSWER, QUESTION
from bench.load import Address, Conversation
from bench.site import WELL_KNOWN, Site
from bench.wire import Answer, BadAnswer, NotNow


@dataclass(frozen=True)
class Work:
    """The cryptography that one conversation cannot do without: what its ceiling is made of."""

    signatures: int = 0
    verifications: int = 0
    hashes: int = 0
    srp: int = 0


@dataclass
class Seat:
    """Who sits at a connection."""

    number: int
    user: dict[str, Any] = field(default_factory=dict)
    access_token: str = ""
    refresh_token: str = ""
    sub: str = ""
    body: bytes = b""
    request: bytes = b""
    """Of a scenario that always asks the same."""
    client: srp.Client | None = None
    secret: str = ""
    """What an authenticator app shares with the server."""
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """One kind of conversation with one server. Budgets are in R, the time of one RSA-2048 signature."""

    site: Site
    name: ClassVar[str]
    requests: ClassVar[int] = 1
    work: ClassVar[Work] = Work()
    budget: ClassVar[float]
    target: ClassVar[float]
    people: ClassVar[bool] = True
    """Whether users take part."""

    @property
    def seats(self) -> int | None:
        """How many may sit there at once; None for any number."""
        return None

    @property
    def address(self) -> Address:
        return self.site.address

    @classmethod
    def possible(cls, site: Site) -> bool:
        """Whether the facts suffice."""
        return True

    def seat(self, number: int) -> Seat:
        users = self.site.users
        return Seat(number, users[number % len(users)] if users else {})

    def prepare(self, seat: Seat) -> Conversation:
        yield from ()

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        raise NotImplementedError


class _Document(Scenario):
    """A public document that hardly ever changes."""

    people = False
    budget = 0.40
    target = 0.08

    @property
    def url(self) -> str:
        raise NotImplementedError

    def examine(self, document: dict[str, Any]) -> None:
        """Raises BadAnswer."""

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        seat.request = seat.request or wire.get(self.url)
        answer = (yield seat.request).expect(200)
        if thorough or not seat.body:
            self.examine(answer.json())
            seat.body = answer.body
        elif answer.body != seat.body:
            raise BadAnswer(f"another document than before: {answer.body[:300]!r}")


class Discovery(_Document):
    name = "discovery"

    @property
    def url(self) -> str:
        return self.site.discovery_url

    def examine(self, document: dict[str, Any]) -> None:
        # OpenID Connect Discovery 1.0, 4.3: the issuer is the URL less the well-known part.
        if document.get("issuer") != self.url.removesuffix(WELL_KNOWN):
            raise BadAnswer(f"issuer {document.get('issuer')!r} of {self.url}")
        wanted = {"authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"}
        if missing := wanted - document.keys():
            raise BadAnswer(f"{', '.join(sorted(missing))} missing in the discovery document")


class Jwks(_Document):
    name = "jwks"

    @property
    def url(self) -> str:
        return str(self.site.document["jwks_uri"])

    def examine(self, document: dict[str, Any]) -> None:
        try:
            keys = KeySet.import_key_set(document).keys  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise BadAnswer(f"not a set of keys: {error}") from None
        if not keys or any(key.is_private or not key.kid for key in keys):
            raise BadAnswer("no keys, or ones without an id, or private ones")


class Empty(_Document):
    """A request to the server around nothing: what none of the others can do without."""

    name = "empty"

    @property
    def url(self) -> str:
        return self.site.discovery_url


class ClientCredentials(Scenario):
    name = "client_credentials"
    people = False
    work = Work(signatures=1)
    budget = 2.3
    target = 1.85

    @classmethod
    def possible(cls, site: Site) -> bool:
        return site.client("machine") is not None

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        client = cast(dict[str, Any], self.site.client("machine"))
        scope = client.get("scopes", [""])[0]
        if not seat.request:
            fields = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
            seat.request = authenticated(self.site.document["token_endpoint"], fields, client)
        answer = (yield seat.request).expect(200)
        body = answer.json()
        _bearer(body)
        if thorough:
            claims = self.site.claims(body["access_token"])
            if client["client_id"] not in (claims.get("client_id"), claims.get("azp"), claims.get("sub")):
                raise BadAnswer(f"a token of another client: {claims}")
            if scope and claims.get("scope") != scope:
                raise BadAnswer(f"scope {claims.get('scope')!r} instead of {scope!r}")


class UserInfo(Scenario):
    name = "userinfo"
    work = Work(verifications=1)
    budget = 1.8
    target = 0.6

    @classmethod
    def possible(cls, site: Site) -> bool:
        return "access_token" in site.facts or CodeFlow.possible(site)

    def prepare(self, seat: Seat) -> Conversation:
        if "access_token" in self.site.facts:
            seat.access_token = self.site.facts["access_token"]
        else:
            yield from CodeFlow(self.site).converse(seat, thorough=True)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        if not seat.request:
            bearer = f"Bearer {seat.access_token}"
            seat.request = wire.get(self.site.document["userinfo_endpoint"], Authorization=bearer)
        answer = (yield seat.request).expect(200)
        body = answer.json()
        if seat.sub and body.get("sub") != seat.sub or not body.get("sub"):
            raise BadAnswer(f"sub {body.get('sub')!r} instead of {seat.sub!r}")
        if thorough and (email := seat.user.get("email")) and body.get("email", email) != email:
            raise BadAnswer(f"email {body['email']!r} instead of {email!r}")


class Refresh(Scenario):
    name = "refresh"
    work = Work(signatures=2)
    budget = 4.5
    target = 3.3

    @classmethod
    def possible(cls, site: Site) -> bool:
        return "refresh_token" in site.facts or CodeFlow.possible(site)

    def prepare(self, seat: Seat) -> Conversation:
        if "refresh_token" in self.site.facts:
            seat.refresh_token = self.site.facts["refresh_token"]
        else:
            yield from CodeFlow(self.site).converse(seat, thorough=True)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        client = CodeFlow.client(self.site)
        fields = {"grant_type": "refresh_token", "refresh_token": seat.refresh_token}
        answer = (yield authenticated(self.site.document["token_endpoint"], fields, client)).expect(200)
        body = answer.json()
        _bearer(body)
        _shaped(body.get("id_token"))
        seat.refresh_token = body.get("refresh_token", seat.refresh_token)
        if thorough:
            _of_user(self.site, seat, client, body["access_token"], body["id_token"])


class Api(Scenario):
    """A sign-in by the JSON API."""

    budget: ClassVar[float]

    @classmethod
    def possible(cls, site: Site) -> bool:
        known = {"base_url", "pool_id"} <= site.facts.keys()
        return known and site.client("spa", "web") is not None and bool(site.users)

    @property
    def client(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.site.client("spa", "web"))

    def call(self, operation: str, **members: Any) -> bytes:
        return self.post(operation, {"ClientId": self.client["client_id"], **members})

    def post(self, operation: str, members: dict[str, Any]) -> bytes:
        return wire.post(
            self.site.facts["base_url"] + "/",
            orjson.dumps(members),
            "application/x-amz-json-1.1",
            X_Amz_Target=f"AWSCognitoIdentityProviderService.{operation}",
        )

    def with_hash(self, parameters: dict[str, str]) -> dict[str, str]:
        """With SECRET_HASH, where the client has a secret."""
        if "client_secret" not in self.client:
            return parameters
        message = (parameters["USERNAME"] + self.client["client_id"]).encode()
        digest = hmac.digest(self.client["client_secret"].encode(), message, "sha256")
        return parameters | {"SECRET_HASH": b64encode(digest).decode("ascii")}

    def granted(self, seat: Seat, answer: Answer, *, thorough: bool) -> None:
        result = answer.expect(200).json().get("AuthenticationResult")
        if not isinstance(result, dict) or result.get("TokenType") != "Bearer" or not result.get("RefreshToken"):
            raise BadAnswer(f"no tokens: {answer.body[:300]!r}")
        for name in ("AccessToken", "IdToken"):
            _shaped(result.get(name))
        seat.access_token, seat.refresh_token = result["AccessToken"], result["RefreshToken"]
        if thorough:
            _of_user(self.site, seat, self.client, result["AccessToken"], result["IdToken"])


class Password(Api):
    name = "password"
    work = Work(signatures=2, hashes=1)
    budget = 6.0
    target = 4.0

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        if not seat.request:
            given = self.with_hash({"USERNAME": seat.user["username"], "PASSWORD": seat.user["password"]})
            seat.request = self.call("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
        answer = yield seat.request
        self.granted(seat, answer, thorough=thorough)


class Srp(Api):
    name = "srp"
    requests = 2
    work = Work(signatures=2, srp=1)
    budget = 22.0
    target = 16.0

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        seat.client = seat.client or srp.Client(seat.user["password"])
        given = self.with_hash({"USERNAME": seat.user["username"], "SRP_A": seat.client.public})
        answer = (yield self.call("InitiateAuth", AuthFlow="USER_SRP_AUTH", AuthParameters=given)).expect(200)
        body = answer.json()
        if body.get("ChallengeName") != "PASSWORD_VERIFIER":
            raise BadAnswer(f"another challenge: {answer.body[:300]!r}")
        proof = self.with_hash(seat.client.respond(self.site.facts["pool_id"], body["ChallengeParameters"]))
        members = {"Session": body["Session"]} if "Session" in body else {}
        answer = yield self.call(
            "RespondToAuthChallenge", ChallengeName="PASSWORD_VERIFIER", ChallengeResponses=proof, **members
        )
        self.granted(seat, answer, thorough=thorough)


class Totp(Api):
    """With the code of an authenticator app. A code is good once in thirty seconds, and so two of the requests make a
    new secret for the next sign-in. The code of the next step of time is shown, which the server tolerates: it then
    comes after the one that proved the secret, whenever the step changes."""

    name = "totp"
    requests = 4
    work = Work(signatures=2, verifications=2, hashes=1)
    budget = 24.0
    target = 16.0

    POOL: ClassVar[str] = "second_factors"

    def __init__(self, site: Site) -> None:
        super().__init__(site.beside(self.POOL))

    @property
    def seats(self) -> int:
        """One of two at once with the same user would make a new secret, which the other does not know."""
        return len(self.site.users)

    @classmethod
    def possible(cls, site: Site) -> bool:
        return cls.POOL in site.facts

    def prepare(self, seat: Seat) -> Conversation:
        # An earlier run has left a secret that nobody knows any more.
        off = {"Username": seat.user["username"], "SoftwareTokenMfaSettings": {"Enabled": False}}
        (yield self._signed("AdminSetUserMFAPreference", off)).expect(200)
        self.granted(seat, (yield self._password(seat)), thorough=True)
        yield from self._new_secret(seat)
        settings = {"Enabled": True, "PreferredMfa": True}
        mine = {"AccessToken": seat.access_token, "SoftwareTokenMfaSettings": settings}
        (yield self.post("SetUserMFAPreference", mine)).expect(200)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        body = (yield self._password(seat)).expect(200).json()
        if body.get("ChallengeName") != "SOFTWARE_TOKEN_MFA" or not body.get("Session"):
            raise BadAnswer(f"another challenge: {str(body)[:300]}")
        code = pyotp.TOTP(seat.secret).at(datetime.now(UTC), counter_offset=1)
        given = self.with_hash({"USERNAME": seat.user["username"], "SOFTWARE_TOKEN_MFA_CODE": code})
        answer = yield self.call(
            "RespondToAuthChallenge",
            ChallengeName="SOFTWARE_TOKEN_MFA",
            Session=body["Session"],
            ChallengeResponses=given,
        )
        self.granted(seat, answer, thorough=thorough)
        yield from self._new_secret(seat)

    def _signed(self, operation: str, members: dict[str, Any]) -> bytes:
        """As an administrator asks."""
        from botocore.auth import SigV4Auth  # takes a while to import, and only this scenario asks for it
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        facts, url = self.site.facts, self.site.facts["base_url"] + "/"
        target = f"AWSCognitoIdentityProviderService.{operation}"
        kind, body = "application/x-amz-json-1.1", orjson.dumps({"UserPoolId": facts["pool_id"], **members})
        asked = AWSRequest("POST", url, {"X-Amz-Target": target, "Content-Type": kind}, body)
        key = Credentials(facts["access_key"]["id"], facts["access_key"]["secret"])
        SigV4Auth(key, "cognito-idp", facts["region"]).add_auth(asked)
        signed = {name: asked.headers[name] for name in ("Authorization", "X-Amz-Date")}
        return wire.post(url, body, kind, X_Amz_Target=target, **signed)

    def _password(self, seat: Seat) -> bytes:
        given = self.with_hash({"USERNAME": seat.user["username"], "PASSWORD": seat.user["password"]})
        return self.call("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)

    def _new_secret(self, seat: Seat) -> Conversation:
        answer = yield self.post("AssociateSoftwareToken", {"AccessToken": seat.access_token})
        seat.secret = answer.expect(200).json().get("SecretCode", "")
        if len(seat.secret) < 16:
            raise BadAnswer(f"{seat.secret!r} is no secret")
        code = pyotp.TOTP(seat.secret).at(datetime.now(UTC))
        answer = yield self.post("VerifySoftwareToken", {"AccessToken": seat.access_token, "UserCode": code})
        if answer.expect(200).json().get("Status") != "SUCCESS":
            raise BadAnswer(f"not verified: {answer.body[:300]!r}")


class Custom(Api):
    """A question of the customer's code, and its answer (bench.customer)."""

    name = "custom"
    requests = 2
    work = Work(signatures=2)
    budget = 10.0
    target = 7.0

    POOL: ClassVar[str] = "customer"

    def __init__(self, site: Site) -> None:
        super().__init__(site.beside(self.POOL))

    @classmethod
    def possible(cls, site: Site) -> bool:
        return cls.POOL in site.facts

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        name = seat.user["username"]
        begun = self.call("InitiateAuth", AuthFlow="CUSTOM_AUTH", AuthParameters=self.with_hash({"USERNAME": name}))
        body = (yield begun).expect(200).json()
        asked = body.get("ChallengeParameters") or {}
        if body.get("ChallengeName") != "CUSTOM_CHALLENGE" or asked.get("question") != QUESTION:
            raise BadAnswer(f"another challenge: {str(body)[:300]}")
        answer = yield self.call(
            "RespondToAuthChallenge",
            ChallengeName="CUSTOM_CHALLENGE",
            Session=body["Session"],
            ChallengeResponses=self.with_hash({"USERNAME": name, "ANSWER": ANSWER}),
        )
        self.granted(seat, answer, thorough=thorough)


class RefreshRotating(Api):
    """A refresh token for the next one, by GetTokensFromRefreshToken."""

    name = "refresh_rotating"
    work = Work(signatures=2)
    budget = 6.0
    target = 4.5

    @classmethod
    def possible(cls, site: Site) -> bool:
        return super().possible(site) and site.client("rotating") is not None

    @property
    def client(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.site.client("rotating"))

    def prepare(self, seat: Seat) -> Conversation:
        given = self.with_hash({"USERNAME": seat.user["username"], "PASSWORD": seat.user["password"]})
        answer = yield self.call("InitiateAuth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
        self.granted(seat, answer, thorough=True)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        before = seat.refresh_token
        self.granted(seat, (yield self.call("GetTokensFromRefreshToken", RefreshToken=before)), thorough=thorough)
        if seat.refresh_token == before:
            raise BadAnswer("the same refresh token again")


class CodeFlow(Scenario):
    """A person without a session: authorize, the page, the password, authorize again, the code for tokens."""

    name = "code_flow"
    requests = 5
    work = Work(signatures=2, hashes=1)
    budget = 14.0
    target = 9.0

    MOST_STEPS: ClassVar[int] = 10

    @classmethod
    def possible(cls, site: Site) -> bool:
        return site.client("spa", "web") is not None and bool(site.users)

    @staticmethod
    def client(site: Site) -> dict[str, Any]:
        return cast(dict[str, Any], site.client("spa", "web"))

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        seat.cookies.clear()
        yield from self.tokens(seat, thorough=thorough)

    def tokens(self, seat: Seat, *, thorough: bool) -> Generator[bytes, Answer, tuple[dict[str, str], dict[str, Any]]]:
        """What the code was exchanged with, and for. Without the password where the cookies have a session."""
        client = self.client(self.site)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode("ascii")
        query = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uri"],
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        start = f"{self.site.document['authorization_endpoint']}?{urlencode(query, quote_via=quote)}"
        answered = yield from self._signed_in(seat, start, client["redirect_uri"])
        if answered.get("error") == "temporarily_unavailable":
            raise NotNow("sent back with temporarily_unavailable")
        if answered.get("state") != state or not answered.get("code"):
            raise BadAnswer(f"sent back with {answered}")
        fields = {
            "grant_type": "authorization_code",
            "code": answered["code"],
            "redirect_uri": client["redirect_uri"],
            "code_verifier": verifier,
        }
        answer = (yield authenticated(self.site.document["token_endpoint"], fields, client)).expect(200)
        body = answer.json()
        _bearer(body)
        _shaped(body.get("id_token"))
        if thorough:
            if answered.get("iss", self.site.issuer) != self.site.issuer:
                raise BadAnswer(f"iss {answered['iss']!r}")
            _of_user(self.site, seat, client, body["access_token"], body["id_token"], nonce=nonce)
            seat.access_token = body["access_token"]
            seat.refresh_token = body.get("refresh_token", "")
        return fields, body

    def _signed_in(self, seat: Seat, url: str, redirect_uri: str) -> Generator[bytes, Answer, dict[str, str]]:
        """As a browser goes: follow redirects, keep cookies, fill in the form that asks for a password."""
        cookies = seat.cookies
        request = wire.get(url, **cookie(cookies))
        for _ in range(self.MOST_STEPS):
            answer: Answer = yield request
            keep(cookies, answer)
            if answer.status in (302, 303):
                location = urljoin(url, answer.header("location") or "")
                if location.startswith(redirect_uri + "?"):
                    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
                url = self._near(location)
                request = wire.get(url, **cookie(cookies))
                continue
            action, fields = filled_form(answer.expect(200), seat.user["username"], seat.user["password"])
            url = self._near(urljoin(url, action))
            request = wire.form(url, fields, **cookie(cookies))
        raise BadAnswer(f"not signed in after {self.MOST_STEPS} steps, last at {url.partition('?')[0]}")

    def _near(self, url: str) -> str:
        """Raises BadAnswer for a place where the request would not go, because it is another server's."""
        if urlsplit(url).netloc != urlsplit(self.site.document["authorization_endpoint"]).netloc:
            raise BadAnswer(f"sent to {url.partition('?')[0]}")
        return url


SCENARIOS: tuple[type[Scenario], ...] = (
    Discovery,
    Jwks,
    ClientCredentials,
    UserInfo,
    Refresh,
    RefreshRotating,
    Srp,
    Password,
    Totp,
    Custom,
    CodeFlow,
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def authenticated(url: str, fields: dict[str, str], client: dict[str, Any]) -> bytes:
    """A request to the token endpoint, as a confidential client or a public one."""
    if "client_secret" in client:
        return wire.form(url, fields, Authorization=wire.basic(client["client_id"], client["client_secret"]))
    return wire.form(url, fields | {"client_id": client["client_id"]})


def _bearer(body: dict[str, Any]) -> None:
    if str(body.get("token_type")).lower() != "bearer":
        raise BadAnswer(f"token_type {body.get('token_type')!r}")
    _shaped(body.get("access_token"))


def _shaped(token: Any) -> None:
    """A JWT by its looks; node-oidc-provider and others have opaque access tokens, which do for them."""
    if not isinstance(token, str) or len(token) < 20 or token.count(".") not in (0, 2):
        raise BadAnswer(f"{token!r} is no token")


def _of_user(site: Site, seat: Seat, client: dict[str, Any], access: str, identity: str, **expected: str) -> None:
    """Both tokens are this user's, for this client. Raises BadAnswer."""
    claims = site.claims(identity, aud=client["client_id"], **expected)
    seat.sub = seat.sub or str(claims["sub"])
    subjects = [claims["sub"]]
    names = [claims.get("cognito:username"), claims.get("preferred_username"), claims.get("email")]
    if access.count(".") == 2:
        also = site.claims(access)
        subjects.append(also.get("sub"))
        names.append(also.get("username"))
    if set(subjects) != {seat.sub}:
        raise BadAnswer(f"tokens of {subjects} instead of {seat.sub!r}")
    if any(names) and not {seat.user.get("username"), seat.user.get("email")} & set(names):
        raise BadAnswer(f"tokens of {names} instead of {seat.user.get('username')!r}")


_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL | re.IGNORECASE)
_INPUT = re.compile(r"<input\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(tag)}


def filled_form(answer: Answer, username: str, password: str) -> tuple[str, dict[str, str]]:
    """Where the form that asks for a password is sent to, and with what. Raises BadAnswer."""
    for tag, inside in _FORM.findall(answer.body.decode("utf-8", "replace")):
        inputs = [found for found in map(_attributes, _INPUT.findall(inside)) if found.get("name")]
        fields = {one["name"]: one.get("value", "") for one in inputs if one.get("type") == "hidden"}
        secret = [one["name"] for one in inputs if one.get("type") == "password"]
        typed = [one["name"] for one in inputs if one.get("type", "text") in ("text", "email", "tel")]
        if len(secret) == 1 and typed:
            return _attributes(tag).get("action", ""), fields | {typed[0]: username, secret[0]: password}
    raise BadAnswer(f"no form for a password on the page: {answer.body[-300:]!r}")


def cookie(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}


def keep(cookies: dict[str, str], answer: Answer) -> None:
    for line in answer.headers("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        if value:
            cookies[name] = value
        else:
            cookies.pop(name, None)
