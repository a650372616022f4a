"""What is asked besides bench's scenarios, and what has to be true afterwards of what was acknowledged."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from bench import wire
from bench.load import Conversation, walk
from bench.scenarios import Api, CodeFlow, Password, Scenario, Seat, authenticated
from bench.site import Site
from bench.wire import BadAnswer, NotNow

TRIES = 20
"""How often something is looked for at a server that has no time just now."""


@dataclass(frozen=True)
class Acknowledged:
    """Something that an answer has promised."""

    what: Literal["sign-up", "used code", "revocation"]
    proof: dict[str, str]
    """The user's name, or the fields of a request that has to be refused from now on."""


@dataclass
class Witness(Seat):
    """A seat that remembers what was promised to it."""

    acknowledged: list[Acknowledged] = field(default_factory=list)


class Healthz(Scenario):
    name = "healthz"
    people = False

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        (yield wire.get(self.site.facts["base_url"] + "/healthz")).expect(200)


class OneUser(Password):
    """Sign-ins of always the same user."""

    name = "one user"

    def seat(self, number: int) -> Seat:
        return Seat(number, self.site.users[-1])


class OtherUsers(Password):
    """Sign-ins of all users but that one."""

    name = "others"

    def seat(self, number: int) -> Seat:
        users = self.site.users[:-1]
        return Seat(number, users[number % len(users)])


class SignUp(Api):
    """A new user; in the pool that sends no mail."""

    name = "sign-up"

    @property
    def pool(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.site.facts["sign_ups"])

    def seat(self, number: int) -> Seat:
        return Witness(number)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        name = f"new-{secrets.token_hex(8)}"
        members = {
            "ClientId": self.pool["client_id"],
            "Username": name,
            "Password": "Chaos-1-password",
            "UserAttributes": [{"Name": "email", "Value": f"{name}@example.com"}],
        }
        answer = yield self.post("SignUp", members)
        if b'"CodeDeliveryFailureException"' in answer.body:
            raise NotNow("CodeDeliveryFailureException")
        answer.expect(200)
        self.promised(seat, name)

    def promised(self, seat: Seat, name: str) -> None:
        assert isinstance(seat, Witness)
        seat.acknowledged.append(Acknowledged("sign-up", {"pool_id": self.pool["pool_id"], "username": name}))


class MailedSignUp(SignUp):
    """A new user, who is sent a code before the answer."""

    name = "mailed sign-up"

    @property
    def pool(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.site.facts["mailed"])


class Codes(CodeFlow):
    """A person who is signed in already: a code, exchanged for tokens, whose refresh token is revoked at once."""

    name = "code"

    def seat(self, number: int) -> Seat:
        users = self.site.users
        return Witness(number, users[number % len(users)])

    def prepare(self, seat: Seat) -> Conversation:
        yield from self.tokens(seat, thorough=True)

    def converse(self, seat: Seat, *, thorough: bool) -> Conversation:
        assert isinstance(seat, Witness)
        fields, body = yield from self.tokens(seat, thorough=thorough)
        seat.acknowledged.append(Acknowledged("used code", fields))
        token = body["refresh_token"]
        revoke = {"token": token, "token_type_hint": "refresh_token"}
        (yield authenticated(self.site.document["revocation_endpoint"], revoke, self.client(self.site))).expect(200)
        refresh = {"grant_type": "refresh_token", "refresh_token": token}
        seat.acknowledged.append(Acknowledged("revocation", refresh))


def lost(site: Site, acknowledged: Iterable[Acknowledged]) -> list[Acknowledged]:
    """What the server no longer knows, or does again although it was to be done once or never more."""
    api = administrator(site.facts)
    try:
        found = []
        # A code that comes back revokes what it was exchanged for, which would hide a revocation that was lost.
        for one in sorted(acknowledged, key=lambda one: one.what == "used code"):
            kept = _is_there(api, one.proof) if one.what == "sign-up" else _is_refused(site, one.proof)
            if not kept:
                found.append(one)
        return found
    finally:
        api.close()


def administrator(facts: dict[str, Any]) -> Any:
    """A client of the API with the demo's access key."""
    key = facts["access_key"]
    return boto3.client(
        "cognito-idp",
        endpoint_url=facts["base_url"],
        region_name=facts["region"],
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(retries={"total_max_attempts": 5, "mode": "standard"}, proxies={}),
    )


def _is_there(api: Any, proof: dict[str, str]) -> bool:
    try:
        api.admin_get_user(UserPoolId=proof["pool_id"], Username=proof["username"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "UserNotFoundException":
            return False
        raise BadAnswer(str(error)) from None
    return True


def _is_refused(site: Site, fields: dict[str, str]) -> bool:
    refused: list[bool] = []

    def talk() -> Conversation:
        request = authenticated(site.document["token_endpoint"], fields, CodeFlow.client(site))
        answer = yield request
        for _ in range(TRIES):
            if answer.status not in (429, 503):
                break
            time.sleep(1)
            answer = yield request
        if answer.status == 200:
            refused.append(False)
        elif answer.expect(400).json().get("error") == "invalid_grant":
            refused.append(True)
        else:
            raise BadAnswer(f"neither tokens nor invalid_grant: {answer.body[:300]!r}")

    walk(site.address, talk())
    return refused[0]
