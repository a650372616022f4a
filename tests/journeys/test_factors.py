"""Second factors, passwords and what they end, as an application with boto3 and an operator at a shell see it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from tests.journeys.conftest import WITHIN, RunningServer
from tests.journeys.people import NEW, PASSWORD, a_place, payload

pytestmark = pytest.mark.slow

SMS = {"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"}}


@pytest.fixture
def app(server: RunningServer) -> Any:
    """boto3 in somebody's hands who has no access key."""
    client = boto3.client(
        "cognito-idp",
        endpoint_url=server.base_url,
        region_name=server.region,
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def cognate(server: RunningServer, *arguments: str) -> str:
    """What a command prints, that an operator gives beside the running server."""
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        env=server.environ,
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sign_in(app: Any, client_id: str, name: str, password: str = PASSWORD) -> dict[str, Any]:
    how = {"USERNAME": name, "PASSWORD": password}
    found: dict[str, Any] = app.initiate_auth(ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=how)
    return found


def test_whoever_signs_up_with_a_phone_where_sms_is_required_can_sign_in(
    server: RunningServer, admin: Any, app: Any
) -> None:
    """The pool of AWS's documentation: nothing is said of what recovers a password."""
    place = a_place(
        server,
        admin,
        "ALLOW_USER_PASSWORD_AUTH",
        AliasAttributes=["phone_number"],
        AutoVerifiedAttributes=["phone_number"],
        MfaConfiguration="ON",
        **SMS,
    )
    phone = f"+1555{uuid.uuid4().int % 10**7:07}"
    who = {"ClientId": place.client_id, "Username": "nora"}
    app.sign_up(**who, Password=PASSWORD, UserAttributes=[{"Name": "phone_number", "Value": phone}])
    told = admin.admin_get_user(UserPoolId=place.pool_id, Username="nora")["UserAttributes"]
    assert {one["Name"] for one in told} == {"sub", "phone_number"}
    app.confirm_sign_up(**who, ConfirmationCode=server.messages(phone)[0]["code"])
    asked = sign_in(app, place.client_id, "nora")
    assert asked["ChallengeName"] == "SMS_MFA"
    done = app.respond_to_auth_challenge(
        ClientId=place.client_id,
        ChallengeName="SMS_MFA",
        Session=asked["Session"],
        ChallengeResponses={"USERNAME": "nora", "SMS_MFA_CODE": server.messages(phone)[0]["code"]},
    )
    assert payload(done["AuthenticationResult"]["AccessToken"])["username"] == "nora"
    with pytest.raises(app.exceptions.InvalidParameterException, match="no registered/verified email or phone_number"):
        app.forgot_password(**who)


def test_a_new_password_signs_out_everywhere_else_where_the_pool_says_so(
    server: RunningServer, admin: Any, app: Any, tmp_path: Path
) -> None:
    place = a_place(server, admin, "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH")
    file = tmp_path / "pool.yaml"
    file.write_text("Cognate: {Preset: recommended}\n")
    said = cognate(server, "pool", "apply", place.pool_id, str(file), "--yes")
    assert "~ Cognate.EndSessionsWithPassword: false -> true" in said
    admin.update_user_pool(UserPoolId=place.pool_id, AutoVerifiedAttributes=["email"])  # which keeps it
    assert cognate(server, "pool", "plan", place.pool_id, str(file)) == "Nothing to change.\n"
    user = {"UserPoolId": place.pool_id, "Username": "nora"}
    admin.admin_create_user(**user, MessageAction="SUPPRESS")
    admin.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)

    def refresh(tokens: dict[str, Any]) -> Any:
        return app.get_tokens_from_refresh_token(ClientId=place.client_id, RefreshToken=tokens["RefreshToken"])

    here, stolen = (sign_in(app, place.client_id, "nora")["AuthenticationResult"] for _ in range(2))
    assert refresh(stolen)
    app.change_password(AccessToken=here["AccessToken"], PreviousPassword=PASSWORD, ProposedPassword=NEW)
    with pytest.raises(app.exceptions.NotAuthorizedException, match="revoked"):
        refresh(stolen)
    with pytest.raises(app.exceptions.NotAuthorizedException, match="revoked"):
        app.get_user(AccessToken=stolen["AccessToken"])
    assert refresh(here) and app.get_user(AccessToken=here["AccessToken"])
    admin.admin_set_user_password(**user, Password=PASSWORD, Permanent=True)
    with pytest.raises(app.exceptions.NotAuthorizedException, match="revoked"):
        refresh(here)


def test_an_operator_counts_recovery_codes_and_ends_them(server: RunningServer, admin: Any) -> None:
    place = a_place(server, admin)
    admin.admin_create_user(UserPoolId=place.pool_id, Username="nora", MessageAction="SUPPRESS")
    for command, said in (("count", "nora has 0 recovery codes left."), ("end", "0 recovery codes of nora ended.")):
        assert cognate(server, "recovery-codes", command, place.pool_id, "nora") == f"{said}\n"
