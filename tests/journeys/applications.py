"""The same application four times: with boto3, pycognito, amazon-cognito-identity-js and Amplify.

Each has the same methods, and does with them what its SDK does; a journey is told once and walked by all. An
application keeps tokens and its device, as a browser or a telephone does; another one is another device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP, generate_hash_device
from pycognito.exceptions import SoftwareTokenMFAChallengeException

from tests.journeys.javascript import Failed, Script


@dataclass(frozen=True)
class Place:
    """What the configuration of an application names."""

    endpoint: str
    pool_id: str
    client_id: str


class Refused(Exception):  # noqa: N818 - the server's answer, not a failure of the test
    """The server refused, and the SDK said so."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class Application(Protocol):
    """What every one of them can. A step of a sign-in returns the challenge that comes next; None: there is none."""

    def sign_up(self, username: str, password: str, **attributes: str) -> str: ...
    def confirm_sign_up(self, username: str, code: str) -> None: ...
    def sign_in(self, username: str, password: str) -> str | None: ...
    def answer(self, asked: str, code: str) -> str | None: ...
    def associate(self) -> str:
        """The secret of an authenticator app, in Base32."""

    def verify(self, code: str, name: str) -> None: ...
    def prefer(self) -> None:
        """Have the authenticator app asked for at every sign-in."""

    def device_key(self) -> str | None: ...
    def remember(self) -> None: ...
    def devices(self) -> list[str]: ...
    def profile(self) -> dict[str, str]: ...
    def change(self, **attributes: str) -> None: ...
    def change_password(self, before: str, after: str) -> None: ...
    def tokens(self) -> dict[str, str]:
        """`access`, `id` and `refresh`."""

    def refresh(self) -> str:
        """A new access token."""

    def sign_out(self) -> None: ...
    def sign_out_everywhere(self) -> None: ...
    def close(self) -> None: ...


A = TypeVar("A", bound=Application)


class JavaScript:
    """One of the scripts of `js/`."""

    script: str

    def __init__(self, place: Place) -> None:
        self.run = Script(self.script)
        self._do("configure", endpoint=place.endpoint, userPoolId=place.pool_id, clientId=place.client_id)

    def _do(self, command: str, **given: Any) -> Any:
        try:
            return self.run(command, **given)
        except Failed as failed:
            if failed.name.endswith("Exception"):
                raise Refused(failed.name, failed.message) from failed
            raise

    def sign_up(self, username: str, password: str, **attributes: str) -> str:
        return str(self._do("signUp", username=username, password=password, attributes=attributes))

    def confirm_sign_up(self, username: str, code: str) -> None:
        self._do("confirmSignUp", username=username, code=code)

    def step(self, command: str, **given: Any) -> dict[str, Any]:
        """A step of a sign-in with all that the SDK says about the next: `asked`, `about`."""
        found: dict[str, Any] = self._do(command, **given)
        return found

    def sign_in(self, username: str, password: str) -> str | None:
        return self.step("signIn", username=username, password=password)["asked"]

    def answer(self, asked: str, code: str) -> str | None:
        return self.step("answer", asked=asked, code=code)["asked"]

    def associate(self) -> str:
        return str(self._do("associate"))

    def verify(self, code: str, name: str) -> None:
        self._do("verify", code=code, name=name)

    def prefer(self) -> None:
        self._do("prefer")

    def device_key(self) -> str | None:
        return self._do("device")["key"]

    def remember(self) -> None:
        self._do("remember")

    def devices(self) -> list[str]:
        return list(self._do("devices"))

    def profile(self) -> dict[str, str]:
        return dict(self._do("profile"))

    def change(self, **attributes: str) -> None:
        self._do("change", attributes=attributes)

    def change_password(self, before: str, after: str) -> None:
        self._do("changePassword", before=before, after=after)

    def tokens(self) -> dict[str, str]:
        return dict(self._do("tokens"))

    def refresh(self) -> str:
        return str(self._do("refresh"))

    def sign_out(self) -> None:
        self._do("signOut")

    def sign_out_everywhere(self) -> None:
        self._do("signOutEverywhere")

    def close(self) -> None:
        self.run.close()


class IdentityJs(JavaScript):
    """amazon-cognito-identity-js, which Amplify was until its version 5."""

    script = "identity.mjs"


class Amplify(JavaScript):
    """Amplify 6. Where a token is not refreshed any more, it has none, and does not say why."""

    script = "amplify.mjs"

    def refresh(self) -> str:
        try:
            return super().refresh()
        except Failed as failed:
            if failed.message == "there are no tokens":
                raise Refused("NotAuthorizedException", failed.message) from failed
            raise


class Python:
    """What boto3 and pycognito have in common: an unsigned client of boto3, for all that needs an access token."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.api = boto3.client(
            "cognito-idp",
            endpoint_url=place.endpoint,
            region_name=place.pool_id.partition("_")[0],
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        self.api.meta.events.register("after-call.cognito-idp", self._notice)
        self.kept: dict[str, Any] = {}
        """The last tokens, as AuthenticationResult; a refresh brings only some."""
        self.device: dict[str, str] = {}
        """Of AWSSRP: device_key, device_group_key, device_password."""

    def _notice(self, parsed: dict[str, Any], **_: Any) -> None:
        if "Error" in parsed:
            raise Refused(parsed["Error"]["Code"], parsed["Error"]["Message"])
        result = parsed.get("AuthenticationResult") or {}
        if result:
            self.kept = {**self.kept, "NewDeviceMetadata": None, **result}

    @property
    def access(self) -> dict[str, str]:
        return {"AccessToken": self.kept["AccessToken"]}

    def confirm_new_device(self) -> None:
        new = self.kept.get("NewDeviceMetadata")
        if not new:
            return
        key, group = new["DeviceKey"], new["DeviceGroupKey"]
        password, verifier = generate_hash_device(group, key)
        self.api.confirm_device(**self.access, DeviceKey=key, DeviceName="Python", DeviceSecretVerifierConfig=verifier)
        self.device = {"device_key": key, "device_group_key": group, "device_password": password}

    def device_key(self) -> str | None:
        return self.device.get("device_key")

    def remember(self) -> None:
        self.api.update_device_status(
            **self.access, DeviceKey=self.device["device_key"], DeviceRememberedStatus="remembered"
        )

    def devices(self) -> list[str]:
        return [one["DeviceKey"] for one in self.api.list_devices(**self.access)["Devices"]]

    def tokens(self) -> dict[str, str]:
        return {
            "access": self.kept["AccessToken"],
            "id": self.kept["IdToken"],
            "refresh": self.kept["RefreshToken"],
        }

    def sign_out(self) -> None:
        self.api.revoke_token(Token=self.kept["RefreshToken"], ClientId=self.place.client_id)

    def close(self) -> None:
        self.api.close()


class Boto3(Python):
    """boto3 has operations and knows nothing of a sign-in: who uses it does the rest. The numbers of SRP are
    pycognito's, and Session goes back with every answer."""

    def sign_up(self, username: str, password: str, **attributes: str) -> str:
        given = [{"Name": name, "Value": value} for name, value in attributes.items()]
        signed_up = self.api.sign_up(
            ClientId=self.place.client_id, Username=username, Password=password, UserAttributes=given
        )
        return str(signed_up["UserSub"])

    def confirm_sign_up(self, username: str, code: str) -> None:
        self.api.confirm_sign_up(ClientId=self.place.client_id, Username=username, ConfirmationCode=code)

    def sign_in(self, username: str, password: str) -> str | None:
        self.srp = self._srp(username, password)
        given = self.srp.get_auth_params()
        asked = self.api.initiate_auth(ClientId=self.place.client_id, AuthFlow="USER_SRP_AUTH", AuthParameters=given)
        assert asked["ChallengeName"] == "PASSWORD_VERIFIER"
        return self._respond(asked, self.srp.process_challenge(asked["ChallengeParameters"], given))

    def _srp(self, username: str, password: str) -> AWSSRP:
        return AWSSRP(username, password, self.place.pool_id, self.place.client_id, client=self.api, **self.device)

    def _respond(self, asked: Mapping[str, Any], given: Mapping[str, str]) -> str | None:
        session = {"Session": asked["Session"]} if asked.get("Session") else {}
        self.asked = self.api.respond_to_auth_challenge(
            ClientId=self.place.client_id,
            ChallengeName=asked["ChallengeName"],
            ChallengeResponses=dict(given),
            **session,
        )
        name = self.asked.get("ChallengeName")
        if name == "DEVICE_SRP_AUTH":
            params = self.srp.get_auth_params()
            return self._respond(self.asked, {name: params[name] for name in ("USERNAME", "SRP_A", "DEVICE_KEY")})
        if name == "DEVICE_PASSWORD_VERIFIER":
            return self._respond(self.asked, self.srp.process_device_challenge(self.asked["ChallengeParameters"]))
        if name is None:
            self.confirm_new_device()
        return name

    def answer(self, asked: str, code: str) -> str | None:
        given = {"USERNAME": self.srp.username, f"{asked}_CODE": code}
        if self.device:
            given["DEVICE_KEY"] = self.device["device_key"]
        return self._respond(self.asked, given)

    def associate(self) -> str:
        return str(self.api.associate_software_token(**self.access)["SecretCode"])

    def verify(self, code: str, name: str) -> None:
        verified = self.api.verify_software_token(**self.access, UserCode=code, FriendlyDeviceName=name)
        assert verified["Status"] == "SUCCESS"

    def prefer(self) -> None:
        self.api.set_user_mfa_preference(
            **self.access, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
        )

    def profile(self) -> dict[str, str]:
        return {one["Name"]: one["Value"] for one in self.api.get_user(**self.access)["UserAttributes"]}

    def change(self, **attributes: str) -> None:
        given = [{"Name": name, "Value": value} for name, value in attributes.items()]
        self.api.update_user_attributes(**self.access, UserAttributes=given)

    def change_password(self, before: str, after: str) -> None:
        self.api.change_password(**self.access, PreviousPassword=before, ProposedPassword=after)

    def refresh(self) -> str:
        device = {"DeviceKey": self.device["device_key"]} if self.device else {}
        self.api.get_tokens_from_refresh_token(
            ClientId=self.place.client_id, RefreshToken=self.kept["RefreshToken"], **device
        )
        return str(self.kept["AccessToken"])

    def sign_out_everywhere(self) -> None:
        self.api.global_sign_out(**self.access)


class PyCognito(Python):
    """pycognito, and boto3 for the parts of devices that it sends to Amazon's address whatever it was told.

    It lets a device prove itself directly after the password, and not after a code: so it brings the device along only
    once it is remembered.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.remembered: dict[str, str] = {}
        self.cognito = Cognito(
            place.pool_id, place.client_id, boto3_client_kwargs={"endpoint_url": place.endpoint}, session=self
        )

    def client(self, name: str, **_: Any) -> Any:
        """What pycognito asks a session of boto3 for."""
        return self.api

    def sign_up(self, username: str, password: str, **attributes: str) -> str:
        self.cognito.set_base_attributes(**attributes)
        return str(self.cognito.register(username, password)["UserSub"])

    def confirm_sign_up(self, username: str, code: str) -> None:
        self.cognito.confirm_sign_up(code, username=username)

    def sign_in(self, username: str, password: str) -> str | None:
        self.cognito.username = username
        srp = AWSSRP(username, password, self.place.pool_id, self.place.client_id, client=self.api, **self.remembered)
        try:
            self.cognito._set_tokens(srp.authenticate_user())
        except SoftwareTokenMFAChallengeException as asked:
            self.cognito.mfa_tokens = asked.get_tokens()
            return "SOFTWARE_TOKEN_MFA"
        self.confirm_new_device()
        return None

    def answer(self, asked: str, code: str) -> str | None:
        self.cognito.respond_to_software_token_mfa_challenge(code)
        self.confirm_new_device()
        return None

    def remember(self) -> None:
        super().remember()
        self.remembered = self.device

    def associate(self) -> str:
        return str(self.cognito.associate_software_token())

    def verify(self, code: str, name: str) -> None:
        assert self.cognito.verify_software_token(code, name)

    def prefer(self) -> None:
        self.cognito.set_user_mfa_preference(sms_mfa=False, software_token_mfa=True, preferred="SOFTWARE_TOKEN")

    def profile(self) -> dict[str, str]:
        found = self.cognito.get_user()
        return {"sub": found.sub, **found._data}

    def change(self, **attributes: str) -> None:
        self.cognito.update_profile(attributes)

    def change_password(self, before: str, after: str) -> None:
        self.cognito.change_password(before, after)

    def refresh(self) -> str:
        if not self.device:
            self.cognito.renew_access_token()
        else:  # which pycognito has no word for here
            given = {"REFRESH_TOKEN": self.kept["RefreshToken"], "DEVICE_KEY": self.device["device_key"]}
            self.api.initiate_auth(ClientId=self.place.client_id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=given)
        return str(self.kept["AccessToken"])

    def sign_out_everywhere(self) -> None:
        self.cognito.logout()


class Install(Protocol):
    """Starts an application on one more device; the fixture of this name closes it in the end."""

    def __call__(self, kind: Callable[[Place], A], place: Place) -> A: ...


KINDS: dict[str, Callable[[Place], Application]] = {
    "boto3": Boto3,
    "pycognito": PyCognito,
    "amazon-cognito-identity-js": IdentityJs,
    "amplify": Amplify,
}
