"""A pool to sign up at, somebody who does, an authenticator app, and what a token says."""

from __future__ import annotations

import base64
import itertools
import json
import time
import uuid
from typing import Any

import pyotp

from tests.journeys.applications import Application, Place
from tests.journeys.conftest import RunningServer

PASSWORD = "Correct-horse-7"
NEW = "Another-horse-8"
STEP = 30
"""Seconds for which an authenticator app shows a code."""

BY_MAIL: dict[str, Any] = {
    "Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}},
    "EmailConfiguration": {
        "EmailSendingAccount": "DEVELOPER",
        "SourceArn": "arn:aws:ses:us-east-1:123456789012:identity/example.com",
    },
}
"""Of a pool: codes by mail, first and second factor."""


class Authenticator:
    """An app that shows codes. A server takes none twice, nor one that is older than the last: this one therefore goes
    from the code before the present one, as long as that is good, to the one after it, so that few tests have to wait.
    """

    def __init__(self, secret: str) -> None:
        self.totp = pyotp.TOTP(secret)
        self.last = 0

    def code(self) -> str:
        present, gone = divmod(time.time(), STEP)
        self.last = max(self.last + 1, int(present) - (gone < STEP - 10))
        time.sleep(max(0, (self.last - 1) * STEP - time.time()))
        return self.totp.generate_otp(self.last)

    def wrong(self) -> str:
        """What it does not show for minutes."""
        present = int(time.time()) // STEP
        shown = [self.totp.generate_otp(present + offset) for offset in range(-2, 8)]
        return next(code for code in (f"{n:06}" for n in itertools.count()) if code not in shown)


def a_place(server: RunningServer, admin: Any, *flows: str, client: dict[str, Any] | None = None, **pool: Any) -> Place:
    """A pool with one client, for applications whose source anybody can read."""
    given = {"AliasAttributes": ["email"], "AutoVerifiedAttributes": ["email"], **pool}
    pool_id = admin.create_user_pool(PoolName="Applications", **given)["UserPool"]["Id"]
    made = admin.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="App",
        ExplicitAuthFlows=flows or ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        **(client or {}),
    )
    return Place(server.base_url, pool_id, made["UserPoolClient"]["ClientId"])


def with_totp(admin: Any, place: Place, word: str = "OPTIONAL", **more: Any) -> None:
    """Lets authenticator apps be the pool's second factor; `ON` for everybody."""
    admin.set_user_pool_mfa_config(
        UserPoolId=place.pool_id, MfaConfiguration=word, SoftwareTokenMfaConfiguration={"Enabled": True}, **more
    )


def a_member(server: RunningServer, application: Application, username: str = "nora") -> str:
    """Somebody signs up and reads the mail. Returns the address."""
    email = f"{uuid.uuid4()}@example.com"
    application.sign_up(username, PASSWORD, email=email, name="Nora")
    application.confirm_sign_up(username, server.messages(email)[0]["code"])
    return email


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
