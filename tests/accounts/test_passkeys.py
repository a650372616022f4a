"""A user's passkeys: how they come, how they go, and what nobody else can do with them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app import errors
from app.accounts import administer, authenticators, factors, passkeys, profile, sweep
from app.accounts import find as accounts
from app.crypto import webauthn
from app.crypto.webauthn import Asserted
from app.env import Env, Origin
from app.models import Client, Device, Passkey, PasskeyRegistration, Pool, User
from app.pools import domains, find, mfa, user_pools
from app.signin import flow
from tests.authenticator import Authenticator
from tests.build import PAGE, PASSWORD, a_client, a_passkey, a_pool, a_pool_with_passkeys, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool_with_passkeys(env, algorithm="ES256")


@pytest.fixture
def client(env: Env, pool: Pool) -> Client:
    return a_client(env, pool)


@pytest.fixture
def alice(env: Env, pool: Pool) -> User:
    return a_user(env, pool)


def reconfigured(env: Env, pool: Pool, **given: Any) -> Pool:
    return mfa.configure(env, pool, {"web_authn_configuration": {"relying_party_id": "example.com", **given}})


def count(env: Env, model: type[Any]) -> int:
    with env.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def row(env: Env, key: Authenticator) -> Passkey:
    with env.reading() as session:
        return session.scalars(select(Passkey).where(Passkey.credential_id == key.name)).one()


# -- registering -----------------------------------------------------------------------------------------------


def test_a_user_registers_a_passkey(env: Env, client: Client, alice: User, clock: Clock) -> None:
    options = passkeys.start(env, client, alice)
    assert options["rp"] == {"id": "example.com", "name": "People"}
    assert (options["user"]["name"], options["user"]["displayName"]) == ("alice", "alice")
    assert options["authenticatorSelection"]["userVerification"] == "preferred"
    assert options["excludeCredentials"] == []
    key = Authenticator(synced=True, aaguid="fbfc3007-154e-4ecc-8c0b-6e020557d7bd", transports=("hybrid", "internal"))
    clock.forward(minutes=4)
    made = passkeys.complete(env, client, alice, credential=key.register(options, PAGE))
    kept = row(env, key)
    assert kept.id == made.id and kept.user_sub == alice.sub and kept.pool_id == client.pool_id
    assert (kept.name, kept.rp_id, kept.transports) == ("iCloud Keychain", "example.com", ["hybrid", "internal"])
    assert (kept.synced, kept.backed_up, kept.sign_count, kept.used_at) == (True, True, 1, None)
    assert kept.created_at == env.now()
    assert count(env, PasskeyRegistration) == 0


def test_the_options_name_what_he_has_and_nothing_of_him_that_he_did_not_choose(
    env: Env, client: Client, alice: User
) -> None:
    key = a_passkey(env, client, alice)
    options = passkeys.start(env, client, alice)
    assert options["excludeCredentials"] == [{"id": key.name, "type": "public-key", "transports": ["usb"]}]
    # The handle is the same each time, is nobody else's, and tells nothing.
    assert options["user"]["id"] == key.handle
    assert alice.sub not in str(options) and alice.email not in str(options)
    bob = a_user(env, client.pool, "bob", email=None)
    assert passkeys.start(env, client, bob)["user"]["id"] != key.handle


def test_who_signs_in_by_address_is_shown_it_and_who_has_a_name_his_name(env: Env) -> None:
    pool = a_pool_with_passkeys(env, algorithm="ES256", username_attributes=["email"], alias_attributes=[])
    client = a_client(env, pool)
    user = a_user(env, pool, name="Alice Liddell")
    shown = passkeys.start(env, client, user)["user"]
    assert (shown["name"], shown["displayName"]) == ("alice@example.com", "Alice Liddell")
    discreet = a_client(env, client.pool, read_attributes=["email"])
    shown = passkeys.start(env, discreet, user)["user"]
    assert shown["displayName"] == "alice@example.com", "a name is for clients that may read it"


def test_a_challenge_is_fresh_and_good_for_one_passkey(env: Env, client: Client, alice: User) -> None:
    first, second = passkeys.start(env, client, alice), passkeys.start(env, client, alice)
    assert first["challenge"] != second["challenge"] and len(second["challenge"]) == 43
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, alice, credential=Authenticator().register(first, PAGE))
    passkeys.complete(env, client, alice, credential=Authenticator().register(second, PAGE))
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, alice, credential=Authenticator().register(second, PAGE))
    assert count(env, Passkey) == 1


def test_a_registration_ends_after_five_minutes_and_is_swept(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    options = passkeys.start(env, client, alice)
    clock.forward(minutes=5)
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, alice, credential=Authenticator().register(options, PAGE))
    assert sweep.expired(env)["passkey_registration"] == 1


def test_a_registration_belongs_to_one_user_and_one_client(env: Env, client: Client, alice: User) -> None:
    options = passkeys.start(env, client, alice)
    made = Authenticator().register(options, PAGE)
    bob = a_user(env, client.pool, "bob", email=None)
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, bob, credential=made)
    passkeys.start(env, client, bob)
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, bob, credential=made)
    with pytest.raises(errors.WebAuthnClientMismatch):
        passkeys.complete(env, a_client(env, client.pool), alice, credential=made)
    # None of them has used it up.
    passkeys.complete(env, client, alice, credential=made)


def test_of_parallel_answers_one_is_kept(app: Flask, env: Env, client: Client, alice: User) -> None:
    options = passkeys.start(env, client, alice)
    made = [Authenticator().register(options, PAGE) for _ in range(4)]
    acts = [lambda one=one: passkeys.complete(env, client, alice, credential=one) for one in made]
    outcomes = in_parallel(app, *acts)
    kept = [one for one in outcomes if isinstance(one, Passkey)]
    assert len(kept) == count(env, Passkey) == 1
    others = {type(one) for one in outcomes if one not in kept}
    assert others == {errors.WebAuthnChallengeNotFound}


def test_who_starts_again_while_his_answer_is_looked_at_waits_for_the_new_one(
    env: Env, client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    register, again = webauthn.register, list[dict[str, Any]]()

    def slowly(*given: Any) -> webauthn.Registered:
        again.append(passkeys.start(env, client, alice))
        return register(*given)

    made = Authenticator().register(passkeys.start(env, client, alice), PAGE)
    with monkeypatch.context() as patch:
        patch.setattr(webauthn, "register", slowly)
        with pytest.raises(errors.WebAuthnChallengeNotFound):
            passkeys.complete(env, client, alice, credential=made)
    passkeys.complete(env, client, alice, credential=Authenticator().register(again[0], PAGE))
    assert count(env, Passkey) == 1


def test_starts_and_answers_do_not_wait_for_each_other_for_ever(
    app: Flask, env: Env, client: Client, alice: User
) -> None:
    made = Authenticator().register(passkeys.start(env, client, alice), PAGE)
    outcomes = in_parallel(
        app,
        *[lambda: passkeys.start(env, client, alice)] * 4,
        *[lambda: passkeys.complete(env, client, alice, credential=made)] * 4,
    )
    assert all(isinstance(one, dict) for one in outcomes[:4])
    assert {type(one) for one in outcomes[4:]} <= {Passkey, errors.WebAuthnChallengeNotFound}
    assert count(env, Passkey) <= 1


@pytest.mark.parametrize(
    ("lie", "refusal"),
    [
        ({"origin": "https://evil.example.com"}, errors.WebAuthnOriginNotAllowed),
        ({"origin": "http://app.example.com"}, errors.WebAuthnOriginNotAllowed),
        ({"crossOrigin": True}, errors.WebAuthnOriginNotAllowed),
        ({"rp_id": "app.example.com"}, errors.WebAuthnRelyingPartyMismatch),
        ({"challenge": "A" * 43}, errors.WebAuthnChallengeNotFound),
        ({"type": "webauthn.get"}, errors.InvalidParameter),
        ({"attestation": {"fmt": "of my own"}}, errors.WebAuthnCredentialNotSupported),
        ({"cose": {1: 1, 3: -8, -1: 6, -2: b"x" * 32}}, errors.WebAuthnCredentialNotSupported),
    ],
)
def test_what_is_not_made_for_this_is_refused_and_keeps_nothing(
    env: Env, client: Client, alice: User, lie: dict[str, Any], refusal: type[errors.Refusal]
) -> None:
    options = passkeys.start(env, client, alice)
    made = Authenticator().register(options, **{"origin": PAGE, **lie})
    with pytest.raises(errors.Refusal) as refused:
        passkeys.complete(env, client, alice, credential=made)
    assert type(refused.value) is refusal
    assert (count(env, Passkey), count(env, PasskeyRegistration)) == (0, 1)


def test_an_authenticator_must_verify_its_user_where_the_pool_says_so(env: Env, client: Client, alice: User) -> None:
    weak = Authenticator(verifies=False)
    passkeys.complete(env, client, alice, credential=weak.register(passkeys.start(env, client, alice), PAGE))
    for given in (
        {"user_verification": "required"},
        {"factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"},
    ):
        reconfigured(env, client.pool, **given)
        strict = find.client(env, client.id)
        options = passkeys.start(env, strict, alice)
        assert options["authenticatorSelection"]["userVerification"] == "required"
        made = Authenticator(verifies=False).register(options, PAGE)
        with pytest.raises(errors.WebAuthnCredentialNotSupported):
            passkeys.complete(env, strict, alice, credential=made)
        passkeys.complete(env, strict, alice, credential=Authenticator().register(options, PAGE))


def test_a_credential_is_of_one_user_of_a_pool_and_may_be_in_another_pool(
    env: Env, client: Client, alice: User
) -> None:
    """Whoever has seen somebody's credential id can claim it with a key of his own: once."""
    key = a_passkey(env, client, alice)
    bob = a_user(env, client.pool, "bob", email=None)
    copy = Authenticator(id=key.id)
    for user in (bob, alice):
        options = passkeys.start(env, client, user)
        with pytest.raises(errors.InvalidParameter, match="registered already"):
            passkeys.complete(env, client, user, credential=copy.register(options, PAGE))
    assert row(env, key).user_sub == alice.sub
    elsewhere = a_client(env, a_pool_with_passkeys(env, algorithm="ES256"))
    a_passkey(env, elsewhere, a_user(env, elsewhere.pool), id=key.id)
    assert count(env, Passkey) == 2


def test_twenty_are_enough_also_in_parallel(app: Flask, env: Env, client: Client, alice: User) -> None:
    for _ in range(19):
        a_passkey(env, client, alice)
    options = passkeys.start(env, client, alice)
    made = Authenticator().register(options, PAGE)
    a_passkey_elsewhere = row(env, a_passkey(env, client, a_user(env, client.pool, "bob", email=None)))
    with env.transaction():  # a twentieth, that came by another way since
        env.db.merge(a_passkey_elsewhere).user_sub = alice.sub
    with pytest.raises(errors.LimitExceeded, match="at most 20"):
        passkeys.complete(env, client, alice, credential=made)
    with pytest.raises(errors.LimitExceeded):
        passkeys.start(env, client, alice)
    passkeys.delete(env, alice, credential_id=a_passkey_elsewhere.credential_id)
    passkeys.complete(env, client, alice, credential=made)


def test_a_pool_without_passkeys_registers_none(env: Env) -> None:
    client = a_client(env, a_pool(env, algorithm="ES256"))
    alice = a_user(env, client.pool)
    with pytest.raises(errors.WebAuthnNotEnabled):
        passkeys.start(env, client, alice)
    with pytest.raises(errors.WebAuthnNotEnabled):
        passkeys.complete(env, client, alice, credential={})


def test_a_pool_that_stops_taking_them_meanwhile_keeps_none(env: Env, client: Client, alice: User) -> None:
    made = Authenticator().register(passkeys.start(env, client, alice), PAGE)
    user_pools.update(env, client.pool, name=None, settings={"policies": {}})
    with pytest.raises(errors.WebAuthnNotEnabled):
        passkeys.complete(env, find.client(env, client.id), alice, credential=made)


def test_a_pool_that_changes_its_name_meanwhile_keeps_none(env: Env, client: Client, alice: User) -> None:
    options = passkeys.start(env, client, alice)
    reconfigured(env, client.pool, relying_party_id="app.example.com")
    for made in (
        Authenticator().register(options, PAGE),
        Authenticator().register(options, PAGE, rp_id="app.example.com"),
    ):
        with pytest.raises(errors.WebAuthnRelyingPartyMismatch):
            passkeys.complete(env, find.client(env, client.id), alice, credential=made)


def test_who_was_disabled_or_deleted_since_he_got_his_token_registers_none(
    env: Env, client: Client, alice: User
) -> None:
    made = Authenticator().register(passkeys.start(env, client, alice), PAGE)
    administer.disable(env, client.pool, username="alice")
    for act in (
        lambda: passkeys.start(env, client, alice),
        lambda: passkeys.complete(env, client, alice, credential=made),
    ):
        with pytest.raises(errors.UserDisabled):
            act()
    profile.delete(env, alice)
    with pytest.raises(errors.TokenRefused):
        passkeys.start(env, client, alice)
    with pytest.raises(errors.WebAuthnChallengeNotFound):
        passkeys.complete(env, client, alice, credential=made)


# -- listing and deleting --------------------------------------------------------------------------------------


def test_a_list_comes_in_pages_and_is_ones_own(env: Env, client: Client, alice: User, clock: Clock) -> None:
    bob = a_user(env, client.pool, "bob", email=None)
    a_passkey(env, client, bob)
    mine = []
    for _ in range(5):
        mine.append(a_passkey(env, client, alice).name)
        clock.forward(seconds=1)
    first = passkeys.listed(env, alice, limit=2)
    second = passkeys.listed(env, alice, limit=2, token=first.token)
    third = passkeys.listed(env, alice, limit=2, token=second.token)
    found = [one.credential_id for page in (first, second, third) for one in page.rows]
    assert found == mine and third.token is None
    assert [one.credential_id for one in passkeys.listed(env, alice, limit=0).rows] == mine
    with pytest.raises(errors.InvalidParameter):
        passkeys.listed(env, bob, token=first.token)


def test_one_deletes_ones_own_passkeys_only(env: Env, client: Client, alice: User) -> None:
    key, bob = a_passkey(env, client, alice), a_user(env, client.pool, "bob", email=None)
    with pytest.raises(errors.ResourceNotFound):
        passkeys.delete(env, bob, credential_id=key.name)
    with pytest.raises(errors.ResourceNotFound):
        passkeys.delete(env, alice, credential_id="")
    passkeys.delete(env, alice, credential_id=key.name)
    with pytest.raises(errors.ResourceNotFound):
        passkeys.delete(env, alice, credential_id=key.name)
    assert count(env, Passkey) == 0


def test_with_the_last_passkey_goes_the_second_factor(env: Env, client: Client, alice: User) -> None:
    first, second = a_passkey(env, client, alice), a_passkey(env, client, alice)
    with env.transaction():
        accounts.locked(env, alice.sub).mfa = {"on": ["SMS_MFA", "WEB_AUTHN"], "preferred": "WEB_AUTHN"}
    for key, on in ((first, ("SMS_MFA", "WEB_AUTHN")), (second, ("SMS_MFA",))):
        passkeys.delete(env, alice, credential_id=key.name)
        assert factors.switched_on(accounts.existing(env, client.pool, "alice").user) == on


def test_no_device_is_trusted_any_more_when_a_passkey_comes_or_goes(env: Env, client: Client, alice: User) -> None:
    """It stood in for the factors that there were."""

    def trusting() -> None:
        with env.transaction():
            env.db.execute(update(Device).values(trusted=True))

    def trusted() -> bool:
        with env.reading() as session:
            return bool(session.scalar(select(Device.trusted)))

    key = a_passkey(env, client, alice)
    now = env.now()
    with env.transaction():
        env.db.add(
            Device(
                key="k", user_sub=alice.sub, group_key="-g", salt="1", verifier="v", last_ip="", remembered=True,
                trusted=True, created_at=now, modified_at=now, authenticated_at=now)
        )  # fmt: skip
    a_passkey(env, client, alice)
    assert not trusted()
    trusting()
    with pytest.raises(errors.ResourceNotFound):
        passkeys.delete(env, alice, credential_id="x")
    assert trusted()
    passkeys.delete(env, alice, credential_id=key.name)
    assert not trusted()


def test_sign_ins_under_way_end_when_a_passkey_comes_or_goes(env: Env, client: Client, alice: User) -> None:
    """Whoever began them was asked for what there was then."""
    choosing = a_client(env, client.pool, explicit_auth_flows=["ALLOW_USER_AUTH"])

    def step_after(change: Callable[[], Any]) -> None:
        step = flow.begin(env, choosing, flow="USER_AUTH", given={"USERNAME": "alice"}, origin=Origin())
        assert isinstance(step, flow.Ask)
        change()
        given = {"ANSWER": "PASSWORD", "PASSWORD": PASSWORD}
        flow.answer(env, choosing, challenge=step.challenge, session=step.handle, given=given, origin=Origin())

    key = a_passkey(env, client, alice)
    step_after(lambda: passkeys.start(env, client, alice))
    for change in (
        lambda: a_passkey(env, client, alice),
        lambda: passkeys.delete(env, alice, credential_id=key.name),
    ):
        with pytest.raises(errors.SessionInvalid):
            step_after(change)


def test_passkeys_go_with_their_user(env: Env, client: Client, alice: User) -> None:
    a_passkey(env, client, alice)
    passkeys.start(env, client, alice)
    profile.delete(env, alice)
    assert (count(env, Passkey), count(env, PasskeyRegistration)) == (0, 0)


def test_passkeys_of_another_name_are_listed_and_can_be_deleted(env: Env, client: Client, alice: User) -> None:
    """But not used: a browser would not find them."""
    key = a_passkey(env, client, alice)
    reconfigured(env, client.pool, relying_party_id="app.example.com")
    assert passkeys.of(env, alice, "app.example.com") == []
    assert passkeys.start(env, find.client(env, client.id), alice)["excludeCredentials"] == []
    [listed] = passkeys.listed(env, alice).rows
    assert listed.rp_id == "example.com"
    passkeys.delete(env, alice, credential_id=key.name)


def test_names_are_what_people_call_the_thing() -> None:
    known = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"
    nobody = "00000000-0000-0000-0000-000000000000"
    assert authenticators.name(known, attachment="platform", synced=True) == "Google Password Manager"
    assert authenticators.name(nobody, attachment="platform", synced=True) == "Passkey"
    assert authenticators.name(nobody, attachment="platform", synced=False) == "Passkey"
    assert authenticators.name(nobody, attachment="cross-platform", synced=True) == "Passkey"
    assert authenticators.name(nobody, attachment="cross-platform", synced=False) == "Security key"
    assert authenticators.name(nobody, attachment=None, synced=False) == "Passkey"


# -- the counter -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 4, 5])
def test_a_counter_that_stands_still_or_goes_back_is_a_copy_and_says_so(
    env: Env, client: Client, alice: User, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    key = a_passkey(env, client, alice, count=4)
    with caplog.at_level(logging.WARNING), pytest.raises(errors.NotAuthorized):
        passkeys.check_count(row(env, key), count)
    [said] = [record.getMessage() for record in caplog.records if record.name == "app.accounts.passkeys"]
    assert row(env, key).id in said and f"from 5 to {count}" in said
    assert key.name not in said and row(env, key).public_key not in said
    passkeys.check_count(row(env, key), 6)


def test_a_synced_passkey_and_one_that_does_not_count_have_no_counter(env: Env, client: Client, alice: User) -> None:
    synced = row(env, a_passkey(env, client, alice, synced=True, count=9))
    for number in (0, 3, 10, 99):
        passkeys.check_count(synced, number)
    still = row(env, a_passkey(env, client, alice, counting=False))
    passkeys.check_count(still, 0)
    passkeys.check_count(still, 1)  # it may begin to


def test_of_answers_with_one_counter_one_is_taken(app: Flask, env: Env, client: Client, alice: User) -> None:
    passkey = row(env, a_passkey(env, client, alice))

    def use() -> None:
        passkeys.check_count(passkey, 2)
        with env.transaction():
            passkeys.use(env, passkey, Asserted(sign_count=2, backed_up=False))

    outcomes = in_parallel(app, *[use] * 4)
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", *["NotAuthorized"] * 3]


def test_what_is_used_says_when_and_what_was_deleted_is_not_used(
    env: Env, client: Client, alice: User, clock: Clock
) -> None:
    key = a_passkey(env, client, alice, synced=True, count=9)
    passkey = row(env, key)
    clock.forward(days=1)
    with env.transaction():
        passkeys.use(env, passkey, Asserted(sign_count=3, backed_up=False))
    used = row(env, key)
    assert (used.sign_count, used.backed_up, used.used_at) == (3, False, env.now())
    passkeys.delete(env, alice, credential_id=key.name)
    with pytest.raises(errors.NotAuthorized), env.transaction():
        passkeys.use(env, passkey, Asserted(sign_count=4, backed_up=False))


def test_a_pool_without_a_name_of_its_own_takes_the_domains(env: Env) -> None:
    policies = {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}}
    pool = a_pool(env, algorithm="ES256", policies=policies)
    domains.create(env, pool, domain="people", custom=False, settings={})
    client, alice = a_client(env, pool), a_user(env, pool)
    options = passkeys.start(env, client, alice)
    assert options["rp"]["id"] == "people.localhost"
    made = Authenticator().register(options, "http://people.localhost:8080")
    assert passkeys.complete(env, client, alice, credential=made).rp_id == "people.localhost"


def test_a_pool_whose_name_no_browser_takes_registers_none(env: Env, client: Client, alice: User) -> None:
    made = Authenticator().register(passkeys.start(env, client, alice), PAGE)
    mfa.configure(env, client.pool, {})
    client = find.client(env, client.id)
    without_name = replace(env, settings=replace(env.settings, base_url="https://192.0.2.1"))
    with pytest.raises(errors.WebAuthnConfigurationMissing):
        passkeys.start(without_name, client, alice)
    with pytest.raises(errors.WebAuthnRelyingPartyMismatch):
        passkeys.complete(without_name, client, alice, credential=made)
