"""Signing in with a passkey, alone or after a password, and all the ways in which that must not work."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from sqlalchemy import select

from app import errors
from app.accounts import find, lockout, passkeys
from app.crypto.base64url import decode, encode
from app.env import Env, Origin
from app.models import Client, Passkey, Pool, User
from app.pools import find as pools
from app.pools import mfa
from app.signin import flow, granting
from app.signin.challenges import web_authn
from tests.authenticator import Authenticator
from tests.build import PAGE, PASSWORD, a_client, a_passkey, a_pool_with_passkeys, a_user, an_app
from tests.conftest import Clock
from tests.parallel import in_parallel

EVIL = "https://evil.example.com"
TOTP = {"mfa_configuration": "OPTIONAL", "software_token_mfa_configuration": {"enabled": True}}


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool_with_passkeys(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(
        env,
        pool,
        explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        prevent_user_existence_errors="ENABLED",
    )


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


@pytest.fixture
def key(env: Env, client: Client, alice: User) -> Authenticator:
    return a_passkey(env, client, alice)


def begin(env: Env, client: Client, name: str = "alice") -> flow.Step:
    given = {"USERNAME": name, "PREFERRED_CHALLENGE": "WEB_AUTHN"}
    return flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())


def begin_as_nobody(env: Env, client: Client, name: str = "nobody") -> flow.Step:
    """As if it had been offered: the choice of a name that means nobody has no passkey in it."""
    sign_in = flow.sign_in_of(env, client, "USER_AUTH", name, None, Origin())
    return flow._asked(env, sign_in, web_authn, web_authn.ask(env, sign_in, {}))


def options(step: flow.Step) -> dict[str, Any]:
    assert isinstance(step, flow.Ask) and step.challenge == "WEB_AUTHN"
    found: dict[str, Any] = json.loads(step.params["CREDENTIAL_REQUEST_OPTIONS"])
    return found


def answer(env: Env, client: Client, step: flow.Step, credential: Any, name: str = "alice") -> flow.Step:
    assert isinstance(step, flow.Ask)
    text = credential if isinstance(credential, str) else json.dumps(credential)
    given = {"USERNAME": name, "CREDENTIAL": text}
    return flow.answer(
        env, client, challenge="WEB_AUTHN", session=step.handle, given=given, origin=Origin()
    )  # fmt: skip


def signed_in(env: Env, step: flow.Step) -> User:
    assert isinstance(step, flow.Granted)
    granting.tokens(env, step)
    return step.user


def refused(env: Env, client: Client, step: flow.Step, credential: Any, name: str = "alice") -> errors.Refusal:
    with pytest.raises(errors.Refusal) as refusal:
        granted = answer(env, client, step, credential, name)
        assert isinstance(granted, flow.Granted)
        granting.tokens(env, granted)
    return refusal.value


def is_wrong(refusal: errors.Refusal) -> bool:
    return type(refusal) is errors.NotAuthorized and refusal.message == "Incorrect username or password."


def row(env: Env, key: Authenticator) -> Passkey:
    with env.reading() as session:
        return session.scalars(select(Passkey).where(Passkey.credential_id == key.name)).one()


def refreshed(env: Env, client: Client) -> Client:
    return pools.client(env, client.id)


def switched_on(env: Env, user: User) -> None:
    with env.transaction():
        find.locked(env, user.sub).mfa = {"on": ["WEB_AUTHN"], "preferred": None}


# -- how it works ----------------------------------------------------------------------------------------------


def test_a_user_signs_in_with_a_passkey(
    env: Env, client: Client, alice: User, key: Authenticator, clock: Clock
) -> None:
    clock.forward(days=1)
    step = begin(env, client)
    shown = options(step)
    assert shown == {
        "challenge": shown["challenge"],
        "timeout": 180_000,
        "rpId": "example.com",
        "allowCredentials": [{"id": key.name, "type": "public-key", "transports": ["usb"]}],
        "userVerification": "preferred",
        "extensions": {},
    }
    assert len(decode(shown["challenge"])) == 32
    granted = answer(env, client, step, key.sign(shown, PAGE))
    assert signed_in(env, granted).sub == alice.sub
    assert isinstance(granted, flow.Granted) and granted.proven == ("WEB_AUTHN",)
    used = row(env, key)
    assert (used.sign_count, used.used_at) == (2, env.now())


def test_any_of_several_does(env: Env, client: Client, alice: User, key: Authenticator) -> None:
    phone = a_passkey(env, client, alice, synced=True, counting=False, attachment="platform")
    for one in (phone, key, phone):
        step = begin(env, client)
        assert {each["id"] for each in options(step)["allowCredentials"]} == {key.name, phone.name}
        signed_in(env, answer(env, client, step, one.sign(options(step), PAGE)))


def test_a_wrong_answer_does_not_use_the_session_up(env: Env, client: Client, key: Authenticator) -> None:
    step = begin(env, client)
    assert is_wrong(refused(env, client, step, key.sign(options(step), EVIL)))
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


def test_wrong_answers_lock_nobody_and_a_lock_does_not_keep_a_passkey_out(
    env: Env, client: Client, alice: User, key: Authenticator
) -> None:
    """There is nothing to guess, so nothing is counted; and the owner gets in while somebody guesses his password."""
    step = begin(env, client)
    for _ in range(2 * lockout.FREE):
        refused(env, client, step, key.sign(options(step), EVIL))
    given = {"USERNAME": "alice", "PASSWORD": "wrong"}
    for _ in range(lockout.FREE):
        with pytest.raises(errors.NotAuthorized, match="Incorrect"):
            flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    with pytest.raises(errors.LockedOut):
        flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


def test_it_can_be_chosen(env: Env, client: Client, key: Authenticator) -> None:
    choice = flow.begin(env, client, flow="USER_AUTH", given={"USERNAME": "alice"}, origin=Origin())
    assert isinstance(choice, flow.Ask) and "WEB_AUTHN" in choice.available
    chosen = {"USERNAME": "alice", "ANSWER": "WEB_AUTHN"}
    step = flow.answer(
        env, client, challenge="SELECT_CHALLENGE", session=choice.handle, given=chosen, origin=Origin()
    )  # fmt: skip
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


# -- what an attacker tries --------------------------------------------------------------------------------------


def test_an_answer_is_good_once(env: Env, client: Client, key: Authenticator) -> None:
    step = begin(env, client)
    overheard = key.sign(options(step), PAGE)
    signed_in(env, answer(env, client, step, overheard))
    assert isinstance(refused(env, client, step, overheard), errors.SessionUsed)
    assert is_wrong(refused(env, client, begin(env, client), overheard))


def test_of_parallel_answers_one_signs_in(app: Flask, env: Env, client: Client, alice: User) -> None:
    key = a_passkey(env, client, alice, synced=True, counting=False)
    step = begin(env, client)
    overheard = key.sign(options(step), PAGE)

    def act() -> Any:
        granted = answer(env, client, step, overheard)
        assert isinstance(granted, flow.Granted)
        return granting.tokens(env, granted)

    outcomes = in_parallel(app, *[act] * 4)
    assert sum(not isinstance(one, errors.Refusal) for one in outcomes) == 1
    assert {type(one) for one in outcomes if isinstance(one, errors.Refusal)} == {errors.SessionUsed}


def test_an_answer_to_another_challenge_page_or_name_is_wrong(env: Env, client: Client, key: Authenticator) -> None:
    step, other = begin(env, client), begin(env, client)
    shown = options(step)
    for wrong in (
        key.sign(options(other), PAGE),
        key.sign(shown, EVIL),
        key.sign(shown, "http://app.example.com"),
        key.sign(shown, PAGE, crossOrigin=True),
        key.sign(shown, PAGE, rp_id="app.example.com"),
        key.sign(shown, PAGE, challenge=encode(b"x" * 32)),
        key.sign(shown, PAGE, flags=0),
    ):
        assert is_wrong(refused(env, client, step, wrong))
    assert row(env, key).sign_count == 1


def test_an_answer_that_was_tampered_with_is_wrong(env: Env, client: Client, key: Authenticator) -> None:
    step = begin(env, client)
    made = key.sign(options(step), PAGE)
    said = json.loads(decode(made["response"]["clientDataJSON"])) | {"androidPackageName": "x"}
    made["response"]["clientDataJSON"] = encode(json.dumps(said).encode())
    assert is_wrong(refused(env, client, step, made))


def test_somebody_elses_passkey_is_wrong(env: Env, client: Client, alice: User, key: Authenticator) -> None:
    """Also with alice's id or handle on it: mallory signs in as himself only."""
    mallory = a_user(env, client.pool, "mallory", email=None)
    his = a_passkey(env, client, mallory)
    step = begin(env, client)
    assert is_wrong(refused(env, client, step, his.sign(options(step), PAGE)))
    his.handle = key.handle
    assert is_wrong(refused(env, client, step, his.sign(options(step), PAGE)))
    his.id = key.id
    assert is_wrong(refused(env, client, step, his.sign(options(step), PAGE)))
    key.handle = passkeys.handle(env, mallory)
    assert is_wrong(refused(env, client, step, key.sign(options(step), PAGE)))


def test_a_session_is_of_one_client_and_one_challenge(
    env: Env, client: Client, alice: User, key: Authenticator
) -> None:
    step = begin(env, client)
    made = key.sign(options(step), PAGE)
    for other in (a_client(env, client.pool), a_client(env, a_pool_with_passkeys(env, algorithm="ES256"))):
        assert isinstance(refused(env, other, step, made), errors.SessionInvalid)
    switched_on(env, alice)
    with pytest.raises(errors.SessionInvalid):
        flow.answer(
            env,
            client,
            challenge="SOFTWARE_TOKEN_MFA",
            session=step.handle,
            given={"USERNAME": "alice", "SOFTWARE_TOKEN_MFA_CODE": "123456"},
            origin=Origin(),
        )


def test_a_passkey_of_another_pool_is_wrong(env: Env, client: Client, key: Authenticator) -> None:
    elsewhere = a_client(env, a_pool_with_passkeys(env, algorithm="ES256"))
    other = a_passkey(env, elsewhere, a_user(env, elsewhere.pool), id=key.id)
    step = begin(env, client)
    assert is_wrong(refused(env, client, step, other.sign(options(step), PAGE)))


def test_a_session_ends(env: Env, client: Client, key: Authenticator, clock: Clock) -> None:
    step = begin(env, client)
    clock.forward(minutes=3)
    assert isinstance(refused(env, client, step, key.sign(options(step), PAGE)), errors.SessionExpired)


def test_a_copy_is_refused_and_the_original_goes_on(
    env: Env, client: Client, key: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Authenticator(id=key.id, key=key.key, handle=key.handle, count=key.count)
    for _ in range(2):
        step = begin(env, client)
        signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))
    step = begin(env, client)
    with caplog.at_level(logging.WARNING, "app.accounts.passkeys"):
        assert is_wrong(refused(env, client, step, copy.sign(options(step), PAGE)))
    assert "may have been copied" in caplog.text
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


def test_a_synced_passkey_may_count_on_each_device(env: Env, client: Client, alice: User) -> None:
    phone = a_passkey(env, client, alice, synced=True, count=7)
    laptop = Authenticator(synced=True, id=phone.id, key=phone.key, handle=phone.handle)
    for one in (phone, laptop, laptop, phone):
        step = begin(env, client)
        signed_in(env, answer(env, client, step, one.sign(options(step), PAGE)))


def test_what_was_deleted_meanwhile_signs_nobody_in(env: Env, client: Client, alice: User, key: Authenticator) -> None:
    step = begin(env, client)
    granted = answer(env, client, step, key.sign(options(step), PAGE))
    passkeys.delete(env, alice, credential_id=key.name)
    assert isinstance(granted, flow.Granted)
    with pytest.raises(errors.NotAuthorized):
        granting.tokens(env, granted)
    assert options(begin(env, client))["allowCredentials"][0]["id"] != key.name  # one that is invented, as for nobody


@pytest.mark.parametrize("sent", ["", "{", "[]", "null", '"x"', "{}", '{"id": "AAAA", "response": {}}', "\ud800"])
def test_what_is_no_answer_is_an_invalid_parameter(env: Env, client: Client, key: Authenticator, sent: str) -> None:
    step = begin(env, client)
    assert type(refused(env, client, step, sent)) is errors.InvalidParameter
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


def test_a_session_of_something_else_is_no_challenge(env: Env, client: Client, alice: User, key: Authenticator) -> None:
    """Notes of other steps hold none: an answer to nothing proves nothing."""
    sign_in = flow.sign_in_of(env, client, "USER_AUTH", "alice", find.by_name(env, client.pool, "alice"), Origin())
    made = key.sign({"challenge": "", "rpId": "example.com"}, PAGE)
    with pytest.raises(errors.SessionInvalid):
        web_authn.answer(env, sign_in, {"CREDENTIAL": json.dumps(made)})


# -- user verification -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strict", [{"user_verification": "required"}, {"factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}]
)
def test_a_stricter_policy_holds_at_once(env: Env, client: Client, alice: User, strict: dict[str, str]) -> None:
    """For passkeys that were registered before, and for answers that were asked for before."""
    weak = a_passkey(env, client, alice, verifies=False)
    before = begin(env, client)
    assert options(before)["userVerification"] == "preferred"
    mfa.configure(env, client.pool, {"web_authn_configuration": {"relying_party_id": "example.com", **strict}})
    client = refreshed(env, client)
    step = begin(env, client)
    assert options(step)["userVerification"] == "required"
    for one in (before, step):
        assert is_wrong(refused(env, client, one, weak.sign(options(one), PAGE)))
    weak.verifies = True
    signed_in(env, answer(env, client, step, weak.sign(options(step), PAGE)))


def test_who_switched_it_on_as_a_second_factor_is_verified(env: Env, client: Client, alice: User) -> None:
    """A stolen key without its PIN is then worth nothing (WebAuthnMfaSettings)."""
    weak = a_passkey(env, client, alice, verifies=False)
    switched_on(env, alice)
    step = begin(env, client)
    assert options(step)["userVerification"] == "required"
    assert is_wrong(refused(env, client, step, weak.sign(options(step), PAGE)))


# -- after a password ------------------------------------------------------------------------------------------


def test_after_a_password_it_is_the_second_factor(env: Env, client: Client, alice: User, key: Authenticator) -> None:
    mfa.configure(
        env, client.pool, {**TOTP, "web_authn_configuration": {"relying_party_id": "example.com"}}
    )  # fmt: skip
    switched_on(env, alice)
    client = refreshed(env, client)
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert options(step)["userVerification"] == "required"
    assert is_wrong(refused(env, client, step, key.sign(options(step), EVIL)))
    granted = answer(env, client, step, key.sign(options(step), PAGE))
    signed_in(env, granted)
    assert isinstance(granted, flow.Granted) and granted.proven == ("PASSWORD", "WEB_AUTHN")


def test_a_verified_passkey_is_both_factors_where_the_pool_says_so(env: Env, client: Client, alice: User) -> None:
    """And one that is not is none: it would pass the second factor by."""
    twice = {"relying_party_id": "example.com", "factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}
    mfa.configure(env, client.pool, {**TOTP, "mfa_configuration": "ON", "web_authn_configuration": twice})
    client = refreshed(env, client)
    key = a_passkey(env, client, alice)
    step = begin(env, client)
    key.verifies = False
    assert is_wrong(refused(env, client, step, key.sign(options(step), PAGE)))
    key.verifies = True
    signed_in(env, answer(env, client, step, key.sign(options(step), PAGE)))


def test_a_pool_that_counts_it_once_meanwhile_takes_it_no_more(env: Env, client: Client, alice: User) -> None:
    """Where a second factor is demanded, an answer that was on its way must not be enough."""
    web = {"relying_party_id": "example.com", "factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}
    mfa.configure(env, client.pool, {**TOTP, "web_authn_configuration": web})
    client = refreshed(env, client)
    an_app(env, alice)
    with env.transaction():
        find.locked(env, alice.sub).mfa = {"on": ["SOFTWARE_TOKEN_MFA"], "preferred": None}
    key = a_passkey(env, client, alice)
    step = begin(env, client)
    mfa.configure(env, client.pool, {**TOTP, "web_authn_configuration": {"relying_party_id": "example.com"}})
    client = refreshed(env, client)
    assert isinstance(refused(env, client, step, key.sign(options(step), PAGE)), errors.NotAuthorized)
    step = begin(env, client)
    assert isinstance(refused(env, client, step, key.sign(options(step), PAGE)), errors.NotAuthorized)


# -- names that mean nobody ------------------------------------------------------------------------------------


def test_nobody_is_asked_like_somebody_the_same_each_time(env: Env, client: Client, key: Authenticator) -> None:
    somebody, nobody = options(begin(env, client)), options(begin_as_nobody(env, client))
    assert nobody.keys() == somebody.keys()
    assert {name: value for name, value in nobody.items() if name not in ("challenge", "allowCredentials")} == {
        name: value for name, value in somebody.items() if name not in ("challenge", "allowCredentials")
    }
    [real], invented = somebody["allowCredentials"], nobody["allowCredentials"]
    assert 1 <= len(invented) <= 3
    for one in invented:
        assert one.keys() == real.keys() and len(decode(one["id"])) in (16, 20, 32)
    again = options(begin_as_nobody(env, client, "NOBODY"))
    assert again["allowCredentials"] == nobody["allowCredentials"] and again["challenge"] != nobody["challenge"]
    others = {options(begin_as_nobody(env, client, f"nobody{n}"))["allowCredentials"][0]["id"] for n in range(60)}
    assert len(others) == 60 and len({len(one) for one in others}) == 3


def test_nobody_is_refused_like_somebody(env: Env, client: Client, key: Authenticator) -> None:
    step = begin_as_nobody(env, client)
    shown = options(step)
    invented = Authenticator(id=decode(shown["allowCredentials"][0]["id"]))
    assert is_wrong(refused(env, client, step, invented.sign(shown, PAGE), "nobody"))
    assert is_wrong(refused(env, client, step, key.sign(shown, PAGE), "nobody"))
    assert type(refused(env, client, step, "{}", "nobody")) is errors.InvalidParameter


def test_whoever_knows_the_key_that_answers_for_nobody_gets_in_nowhere(
    env: Env, client: Client, key: Authenticator
) -> None:
    forged = Authenticator(key=ec.derive_private_key(1, ec.SECP256R1()))
    for name, step in (("alice", begin(env, client)), ("nobody", begin_as_nobody(env, client))):
        for handle in (None, key.handle):
            forged.handle = handle
            assert is_wrong(refused(env, client, step, forged.sign(options(step), PAGE), name))


def test_a_client_that_may_know_is_told(env: Env, pool: Pool) -> None:
    open_client = a_client(env, pool, prevent_user_existence_errors="LEGACY")
    with pytest.raises(errors.UserNotFound):
        begin_as_nobody(env, open_client)


def test_who_has_passkeys_of_another_name_only_is_asked_like_nobody(
    env: Env, client: Client, alice: User, key: Authenticator
) -> None:
    mfa.configure(env, client.pool, {"web_authn_configuration": {"relying_party_id": "app.example.com"}})
    client = refreshed(env, client)
    step = begin(env, client)
    # Mostly one, and for some two or three, as of those who have passkeys.
    assert key.name not in {shown["id"] for shown in options(step)["allowCredentials"]}
    assert is_wrong(refused(env, client, step, key.sign(options(step), PAGE)))
    assert is_wrong(refused(env, client, step, key.sign(options(step), PAGE, rp_id="example.com")))


def test_a_pool_whose_name_no_browser_takes_asks_nobody(env: Env, client: Client, key: Authenticator) -> None:
    mfa.configure(env, client.pool, {})
    client = refreshed(env, client)
    without_name = replace(env, settings=replace(env.settings, base_url="https://192.0.2.1"))
    with pytest.raises(errors.InvalidUserPoolConfiguration):
        begin(without_name, client)
