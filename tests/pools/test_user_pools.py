"""Pools: what they are made with, what an update puts back, what is refused; and two who do it at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from app import errors
from app.env import Env
from app.models import Pool
from app.pools import app_clients, domains, find, tags, user_pools
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock
from tests.parallel import in_parallel

SMS = {"sns_caller_arn": "arn:aws:iam::123456789012:role/sms"}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"


def at_once(app: Flask, *acts: Callable[[], object]) -> list[object]:
    """What each gave, or the refusal that it met; all begin together, each in a context of its own."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        with app.app_context():
            start.wait()
            try:
                return act()
            except errors.Refusal as refused:
                return refused

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def test_a_pool_has_cognitos_defaults(env: Env) -> None:
    pool = user_pools.create(env, name="Plain", settings={})
    assert pool.id.startswith("us-east-1_") and len(pool.short_id) == 9
    policy = pool.password_policy
    assert (policy.minimum_length, policy.uppercase, policy.symbols, policy.temporary_validity.days) == (
        8,
        True,
        True,
        7,
    )
    assert pool.case_sensitive and pool.open_to_sign_up and not pool.protected
    assert pool.recovery == ["phone_number", "email"]
    assert len(pool.schema) == 20


def string(name: str, **other: Any) -> dict[str, Any]:
    return {"name": name, "attribute_data_type": "String", **other}


def number(name: str, **bounds: str) -> dict[str, Any]:
    return {"name": name, "attribute_data_type": "Number", "number_attribute_constraints": bounds}


OF_NEW_POOLS: list[tuple[dict[str, Any], str]] = [
    ({"alias_attributes": ["email"], "username_attributes": ["email"]}, "Only one of"),
    ({"alias_attributes": ["preferred_username"], "schema": [{"name": "preferred_username", "required": True}]},
     "cannot be both an alias and required"),
    ({"schema": [{"name": "email", "attribute_data_type": "Number"}]}, "You can not change AttributeDataType"),
    ({"schema": [{"name": "email", "developer_only_attribute": True}]}, "You can not change AttributeDataType"),
    ({"schema": [{"name": "sub", "mutable": True}]}, "sub is written by the server"),
    ({"schema": [{"name": "x"}]}, "Invalid AttributeDataType"),
    ({"schema": [{"attribute_data_type": "String"}]}, "null at 'name'"),
    ({"schema": [string("x", required=True)]}, "Required custom attributes"),
    ({"schema": [string("x")] * 2}, "custom:x: Existing attribute already has name custom:x."),
    ({"schema": [string("x", developer_only_attribute=True), string("x")]},
     "custom:x: Existing attribute already has name dev:custom:x."),
    ({"schema": [string("x", string_attribute_constraints={"max_length": "2049"})]},
     "user.x: String attributes cannot have a length of more than 2048"),
    ({"schema": [string("x", string_attribute_constraints={"min_length": "3", "max_length": "2"})]},
     "user.x: Max length cannot be less than min length."),
    ({"schema": [string("x", string_attribute_constraints={"min_length": "-1"})]}, "Invalid StringAttributeConstr"),
    ({"schema": [number("x", min_value="3", max_value="2")]}, "user.x: Max value cannot be less than min value."),
    ({"schema": [number("x", min_value="three")]}, "Invalid NumberAttributeConstraints for schema attribute x"),
    ({"schema": [number("x", max_value="9" * 19)]}, "Invalid NumberAttributeConstraints for schema attribute x"),
    ({"mfa_configuration": "ON"}, "SMS configuration is required"),
]  # fmt: skip

OF_ALL_POOLS: list[tuple[dict[str, Any], str]] = [
    ({"policies": {"password_policy": {"temporary_password_validity_days": 3}},
      "admin_create_user_config": {"unused_account_validity_days": 5}}, "TemporaryPasswordValidityDays"),
    ({"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["EMAIL_OTP"]}}}, "must contain PASSWORD"),
    ({"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "SOFTWARE_TOKEN"]}}}, "first factor"),
    ({"policies": {"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}},
      "mfa_configuration": "ON", "sms_configuration": SMS}, "MFA cannot be ON together with first factors"),
    ({"verification_message_template": {"sms_message": "a {####}"}, "sms_verification_message": "b {####}"}, "equal"),
    ({"verification_message_template": {"email_subject": "a"}, "email_verification_subject": "b"}, "equal"),
    ({"admin_create_user_config": {"invite_message_template": {"sms_message": "your code {####}"}}}, "SMSMessage of"),
    ({"admin_create_user_config": {"invite_message_template": {"email_message": "Hello {username}"}}}, "EmailMessage"),
    ({"account_recovery_setting": {"recovery_mechanisms": [{"name": "admin_only", "priority": 1},
                                                           {"name": "verified_email", "priority": 2}]}}, "admin_only"),
    ({"account_recovery_setting": {"recovery_mechanisms": [{"name": "verified_email", "priority": 1},
                                                           {"name": "verified_email", "priority": 2}]}}, "different"),
    ({"account_recovery_setting": {"recovery_mechanisms": [{"name": "verified_email", "priority": 1},
                                                           {"name": "verified_phone_number", "priority": 1}]}},
     "different"),
    ({"user_attribute_update_settings": {"attributes_require_verification_before_update": ["email"]}}, "must be among"),
    ({"user_attribute_update_settings": {"attributes_require_verification_before_update": ["email", "phone_number"]},
      "auto_verified_attributes": ["email"]}, "must be among"),
    ({"acr_configuration": {"Level1": {"acr_value": "x"}, "Level2": {"acr_value": "x"}}}, "must be unique"),
    ({"acr_configuration": {"Level1": {"acr_value": "urn:cognito:loa:2"}}}, "must be unique"),
    ({"sms_configuration": {**SMS, "eums_sms": {"caller_arn": "arn"}}}, "Only one of SnsCallerArn and EumsSms"),
    ({"key_configuration": {"key_type": "CUSTOMER_MANAGED_KEY"}}, "A customer-managed key is not available"),
    ({"key_configuration": {"kms_key_arn": "arn:aws:kms:x:1:key/k"}}, "A customer-managed key is not available"),
    ({"lambda_config": {"custom_sms_sender": {"lambda_version": "V1_0", "lambda_arn": FUNCTION}}}, "KMSKeyID"),
    ({"lambda_config": {"pre_sign_up": FUNCTION + ":7"}}, "names a version"),
    ({"lambda_config": {"pre_token_generation": FUNCTION, "pre_token_generation_config":
                        {"lambda_version": "V2_0", "lambda_arn": FUNCTION + "2"}}}, "the same function"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), OF_NEW_POOLS + OF_ALL_POOLS)
def test_no_pool_is_made_with_settings_that_contradict_themselves(
    env: Env, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.InvalidParameter, match=sentence):
        user_pools.create(env, name="P", settings=given)


@pytest.mark.parametrize(("given", "sentence"), OF_ALL_POOLS)
def test_no_pool_is_given_them_later_and_a_refused_update_changes_nothing(
    env: Env, given: dict[str, Any], sentence: str
) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.InvalidParameter, match=sentence):
        user_pools.update(env, pool, name="Other", settings=given)
    after = find.pool(env, pool.id)
    assert (after.name, after.settings) == (pool.name, pool.settings)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sms_verification_message", "sms_message"),
        ("email_verification_message", "email_message"),
        ("email_verification_subject", "email_subject"),
    ],
)
def test_a_changed_template_counts_over_a_message_that_only_says_again_what_was_there(
    env: Env, old: str, new: str
) -> None:
    """Terraform's provider sends back what it was told in the legacy member, and the change in the template."""

    def told() -> str:
        found: str = find.pool(env, pool.id).settings["verification_message_template"][new]
        return found

    pool = a_pool(env, verification_message_template={new: "one {####}"})
    change = {"verification_message_template": {new: "two {####}"}, old: "one {####}"}
    user_pools.update(env, pool, name=None, settings=change)
    assert told() == "two {####}"
    with pytest.raises(errors.InvalidParameter, match="must be equal"):
        user_pools.update(env, pool, name=None, settings=change)  # which says another thing than is there by now
    user_pools.update(env, pool, name=None, settings={old: "two {####}"})
    assert told() == "two {####}"


@pytest.mark.parametrize("tags", [{f"k{n}": "" for n in range(51)}, {"aws:x": "y"}, {"AWS:x": "y"}])
def test_tags_that_cannot_be_had(env: Env, tags: dict[str, str]) -> None:
    with pytest.raises(errors.UserPoolTagging):
        user_pools.create(env, name="P", settings={"user_pool_tags": tags})
    pool = a_pool(env)
    with pytest.raises(errors.UserPoolTagging):
        user_pools.update(env, pool, name=None, settings={"user_pool_tags": tags})


def test_an_update_keeps_what_it_cannot_change_and_what_others_set(env: Env, clock: Clock) -> None:
    pool = a_pool(env, schema=[string("tier")], deletion_protection="ACTIVE", user_pool_tags={"a": "b"})
    user_pools.set_sessions(env, pool, tracking="ENABLED", most=3)
    clock.forward(minutes=1)
    user_pools.update(env, pool, name=None, settings={})
    after = find.pool(env, pool.id)
    kept = ("attributes", "alias_attributes", "username_configuration")
    assert {name: after.settings[name] for name in kept} == {name: pool.settings[name] for name in kept}
    assert after.settings["session_configuration"]["token_session"] == {"max_per_user": 3}
    assert (after.protected, after.auto_verified, tags.of(after)) == (False, [], {})
    assert after.name == pool.name
    assert after.modified_at > pool.modified_at == after.created_at


def test_an_update_without_policies_keeps_the_first_factors_and_no_more(env: Env) -> None:
    factors = {"allowed_first_auth_factors": ["PASSWORD", "EMAIL_OTP"]}
    pool = a_pool(env, policies={"password_policy": {"minimum_length": 20}, "sign_in_policy": factors})
    user_pools.update(env, pool, name=None, settings={})
    after = find.pool(env, pool.id)
    assert after.settings["policies"]["sign_in_policy"] == factors
    assert (after.password_policy.minimum_length, after.password_policy.symbols) == (8, True)
    user_pools.update(env, pool, name=None, settings={"policies": {"password_policy": {"minimum_length": 9}}})
    after = find.pool(env, pool.id)
    assert after.settings["policies"]["sign_in_policy"] == {"allowed_first_auth_factors": ["PASSWORD"]}
    assert (after.password_policy.minimum_length, after.password_policy.symbols) == (9, False)


def test_a_registration_configuration_stays_until_it_is_replaced_as_a_whole(env: Env) -> None:
    off = {"enable_status": "Disabled", "open_dcr_grant_types": [], "allowed_scopes": ["a/b"]}
    pool = a_pool(env, dcr_configuration=off)
    user_pools.update(env, pool, name=None, settings={})
    assert find.pool(env, pool.id).settings["dcr_configuration"] == {
        **off,
        "open_dcr_enabled": False,
        "authenticated_grant_types": ["code", "client_credentials"],
    }
    user_pools.update(env, pool, name=None, settings={"dcr_configuration": {"open_dcr_enabled": True}})
    assert find.pool(env, pool.id).settings["dcr_configuration"] == {
        "enable_status": "Enabled",
        "open_dcr_enabled": True,
        "authenticated_grant_types": ["code", "client_credentials"],
        "open_dcr_grant_types": ["code"],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"pre_token_generation": FUNCTION},
        {"pre_token_generation_config": {"lambda_version": "V1_0", "lambda_arn": FUNCTION}},
    ],
)
def test_a_trigger_before_tokens_goes_by_both_its_names(env: Env, given: dict[str, Any]) -> None:
    pool = a_pool(env, lambda_config=given)
    assert pool.settings["lambda_config"] == {
        "pre_token_generation": FUNCTION,
        "pre_token_generation_config": {"lambda_version": "V1_0", "lambda_arn": FUNCTION},
    }


def test_a_temporary_password_lives_as_long_as_either_member_says(env: Env) -> None:
    pool = a_pool(env, admin_create_user_config={"unused_account_validity_days": 3})
    assert pool.password_policy.temporary_validity.days == 3
    for none in (0, None):
        policy = {"temporary_password_validity_days": none} if none is not None else {}
        pool = a_pool(env, policies={"password_policy": policy})
        assert pool.password_policy.temporary_validity.days == 7
        assert pool.settings["admin_create_user_config"]["unused_account_validity_days"] == 7


# -- custom attributes -----------------------------------------------------------------------------------------


def test_custom_attributes_are_added_and_stay(env: Env) -> None:
    pool = a_pool(env, schema=[string("a")])
    user_pools.add_custom_attributes(env, pool, [string("b", mutable=False), number("c", min_value="1")])
    schema = find.pool(env, pool.id).schema
    assert len(schema) == 23
    assert schema["custom:a"] == pool.schema["custom:a"]
    assert (schema["custom:b"].mutable, schema["custom:c"].least) == (False, 1)


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_attribute_that_is_there_is_not_added_again(env: Env, name: str) -> None:
    pool = a_pool(env, schema=[string("a"), string("b", developer_only_attribute=True)])
    prefix = {"a": "custom:", "b": "dev:custom:"}[name]
    for twin in (string(name), string(name, developer_only_attribute=True), number(name)):
        with pytest.raises(errors.InvalidParameter) as refused:
            user_pools.add_custom_attributes(env, pool, [string("fresh"), twin])
        assert refused.value.message == f"custom:{name}: Existing attribute already has name {prefix}{name}."
    assert "custom:fresh" not in find.pool(env, pool.id).schema


def test_a_standard_name_can_be_had_once_more_with_the_prefix(env: Env) -> None:
    pool = a_pool(env)
    user_pools.add_custom_attributes(env, pool, [string("email")])
    assert find.pool(env, pool.id).schema.keys() - pool.schema.keys() == {"custom:email"}


def test_fifty_custom_attributes_are_all(env: Env) -> None:
    pool = a_pool(env, schema=[string(f"a{n}") for n in range(25)])
    user_pools.add_custom_attributes(env, pool, [string(f"b{n}") for n in range(24)])
    with pytest.raises(errors.InvalidParameter, match="at most 50 custom attributes"):
        user_pools.add_custom_attributes(env, pool, [string("c1"), string("c2")])
    user_pools.add_custom_attributes(env, pool, [string("c1")])
    assert len(find.pool(env, pool.id).schema) == 70


# -- all at once -----------------------------------------------------------------------------------------------


def test_attributes_and_updates_at_once_lose_nothing(app: Flask, env: Env) -> None:
    pool = a_pool(env)

    def adding(n: int) -> Callable[[], object]:
        return lambda: user_pools.add_custom_attributes(env, pool, [string(f"a{n}")])

    def updating(n: int) -> Callable[[], object]:
        given = {
            "auto_verified_attributes": ["email"],
            "user_pool_tags": {"n": str(n)},
            "deletion_protection": "ACTIVE",
        }
        return lambda: user_pools.update(env, pool, name=f"Pool {n}", settings=given)

    assert at_once(app, *(make(n) for n in range(4) for make in (adding, updating))) == [None] * 8
    after = find.pool(env, pool.id)
    assert {f"custom:a{n}" for n in range(4)} <= after.schema.keys()
    assert after.protected


def test_of_updates_at_once_one_has_the_last_word_in_everything(app: Flask, env: Env) -> None:
    pool = a_pool(env)

    def updating(n: int) -> Callable[[], object]:
        message = (
            {"sms_verification_message": f"{{####}} {n}"} if n % 2 else {"sms_authentication_message": f"{{####}} {n}"}
        )
        return lambda: user_pools.update(
            env, pool, name=f"Pool {n}", settings={"user_pool_tags": {"n": str(n)}, **message}
        )

    assert at_once(app, *map(updating, range(6))) == [None] * 6
    after = find.pool(env, pool.id)
    n = int(after.name.split()[1])
    assert tags.of(after) == {"n": str(n)}
    assert after.settings["verification_message_template"].get("sms_message") == (f"{{####}} {n}" if n % 2 else None)
    assert after.settings.get("sms_authentication_message") == (None if n % 2 else f"{{####}} {n}")


def test_whoever_comes_after_the_deletion_is_told_that_there_is_no_pool(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    client = a_client(env, pool)
    seen = at_once(
        app,
        lambda: user_pools.delete(env, pool),
        lambda: user_pools.delete(env, pool),
        lambda: user_pools.update(env, pool, name="Late", settings={}),
        lambda: user_pools.add_custom_attributes(env, pool, [string("late")]),
        lambda: a_client(env, pool) and None,
        lambda: app_clients.update(env, client, name="Late", settings={}) and None,
        lambda: app_clients.delete(env, client),
    )
    assert sorted(map(str, seen[:2])) == ["None", f"User pool {pool.id} does not exist."]
    assert all(isinstance(one, errors.ResourceNotFound | None) for one in seen)
    with env.reading() as session:
        assert session.get(Pool, pool.id) is None


# -- deleted and listed ---------------------------------------------------------------------------------------


def test_a_pool_is_deleted_only_without_domain_and_protection(env: Env) -> None:
    pool = a_pool(env)
    domains.create(env, pool, domain="people", custom=False, settings={})
    with pytest.raises(errors.InvalidParameter, match="It has a domain configured that should be deleted first"):
        user_pools.delete(env, pool)
    protected = a_pool(env, deletion_protection="ACTIVE")
    with pytest.raises(errors.InvalidParameter, match="deletion protection"):
        user_pools.delete(env, protected)
    plain = a_pool(env)
    user_pools.delete(env, plain)
    for again in (lambda: user_pools.delete(env, plain), lambda: find.pool(env, plain.id)):
        with pytest.raises(errors.UnknownPool, match=f"User pool {plain.id} does not exist."):
            again()


def test_pools_are_listed_by_pages(env: Env) -> None:
    made = sorted(a_pool(env).id for _ in range(5))
    seen: list[str] = []
    token = None
    while True:
        page = user_pools.listed(env, limit=2, token=token)
        seen += [pool.id for pool in page.rows]
        token = page.token
        if token is None:
            break
    assert seen == made


def test_many_users_are_counted_now_and_then_and_few_at_every_call(
    env: Env, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_pools, "FEW", 2)
    pool, other = a_pool(env, algorithm="ES256"), a_pool(env, algorithm="ES256")
    a_user(env, other)
    counted = []
    for number in range(5):
        a_user(env, pool, f"user{number}", email=None)
        counted.append(user_pools.count_users(env, pool))
    assert counted == [1, 2, 3, 3, 3]
    clock.forward(seconds=user_pools.COUNT_KEPT)
    assert user_pools.count_users(env, pool) == 5
    assert user_pools.count_users(env, other) == 1


def test_there_are_as_many_pools_as_the_operator_says(app: Flask, limited: Callable[..., Env]) -> None:
    """Even when they are made at once."""
    env = limited(pools=2)
    made = in_parallel(app, *[lambda: a_pool(env, algorithm="ES256")] * 4)
    assert sorted(type(one).__name__ for one in made) == ["LimitExceeded", "LimitExceeded", "Pool", "Pool"]
    with pytest.raises(errors.LimitExceeded, match="at most 2 .COGNATE_LIMIT_POOLS."):
        a_pool(env)
    a_pool(limited(pools=3))
