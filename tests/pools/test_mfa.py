"""Second factors and passkeys of a pool: which go together (reference: 10.1, 10.6)."""

from typing import Any

import pytest

from app import errors
from app.env import Env
from app.pools import find, mfa, user_pools
from tests.build import a_pool
from tests.pools.test_user_pools import SMS

TOTP = {"software_token_mfa_configuration": {"enabled": True}}


def told(env: Env, pool_id: str) -> dict[str, Any]:
    """What was configured, without what was not."""
    return {name: value for name, value in mfa.configuration(find.pool(env, pool_id)).items() if value is not None}


def test_what_is_configured_replaces_what_was(env: Env) -> None:
    pool = a_pool(env)
    everything = {
        "mfa_configuration": "OPTIONAL",
        "sms_mfa_configuration": {"sms_authentication_message": "{####}!", "sms_configuration": SMS},
        "email_mfa_configuration": {"message": "{####}?", "subject": "Code"},
        "web_authn_configuration": {"relying_party_id": "example.com", "user_verification": "required"},
        **TOTP,
    }
    mfa.configure(env, pool, everything)
    assert told(env, pool.id) == everything
    mfa.configure(env, pool, {"mfa_configuration": "ON", **TOTP})
    assert told(env, pool.id) == {"mfa_configuration": "ON", **TOTP}
    assert find.pool(env, pool.id).settings["sms_configuration"] == SMS
    mfa.configure(env, pool, {})
    assert told(env, pool.id) == {"mfa_configuration": "OFF"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mfa_configuration": "ON"}, "At least one of"),
        ({"mfa_configuration": "OPTIONAL", "web_authn_configuration": {}}, "At least one of"),
        ({"mfa_configuration": "OFF", **TOTP}, "can't turn off MFA and configure an MFA together"),
        (TOTP, "can't turn off MFA and configure an MFA together"),
        ({"software_token_mfa_configuration": {"enabled": False}}, "can't turn off MFA and configure an MFA together"),
        ({"email_mfa_configuration": {}}, "can't turn off MFA and configure an MFA together"),
        ({"mfa_configuration": "ON", "sms_mfa_configuration": {}}, "SMS configuration is required"),
        ({"web_authn_configuration": {"relying_party_id": "https://example.com"}}, "is not a RelyingPartyId"),
        ({"web_authn_configuration": {"relying_party_id": "example.com:443"}}, "is not a RelyingPartyId"),
    ],
)
def test_what_cannot_go_together_is_refused_and_changes_nothing(env: Env, given: dict[str, Any], sentence: str) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.InvalidParameter, match=sentence):
        mfa.configure(env, pool, given)
    assert told(env, pool.id) == {"mfa_configuration": "OFF"}


def test_a_code_or_a_passkey_does_not_pass_by_a_required_second_factor(env: Env) -> None:
    pool = a_pool(env, policies={"sign_in_policy": {"allowed_first_auth_factors": ["PASSWORD", "WEB_AUTHN"]}})
    mfa.configure(env, pool, {"mfa_configuration": "OPTIONAL", **TOTP})
    for passkeys in (None, {"factor_configuration": "SINGLE_FACTOR"}):
        with pytest.raises(errors.InvalidParameter, match="MFA cannot be ON together with first factors"):
            mfa.configure(env, pool, {"mfa_configuration": "ON", "web_authn_configuration": passkeys, **TOTP})
    both = {"factor_configuration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}
    mfa.configure(env, pool, {"mfa_configuration": "ON", "web_authn_configuration": both, **TOTP})
    assert told(env, pool.id)["web_authn_configuration"] == {"user_verification": "preferred", **both}


def test_a_pool_made_with_mfa_has_it_by_sms(env: Env) -> None:
    pool = a_pool(env, mfa_configuration="OPTIONAL", sms_configuration=SMS, sms_authentication_message="{####}")
    assert told(env, pool.id) == {
        "mfa_configuration": "OPTIONAL",
        "sms_mfa_configuration": {"sms_configuration": SMS, "sms_authentication_message": "{####}"},
    }


def test_an_update_that_leaves_mfa_out_turns_it_off_and_one_that_gives_it_finds_the_factors_again(env: Env) -> None:
    pool = a_pool(env)
    mfa.configure(env, pool, {"mfa_configuration": "ON", **TOTP})
    user_pools.update(env, pool, name=None, settings={})
    assert told(env, pool.id) == {"mfa_configuration": "OFF", **TOTP}
    user_pools.update(env, pool, name=None, settings={"mfa_configuration": "ON"})
    assert told(env, pool.id) == {"mfa_configuration": "ON", **TOTP}


def test_an_update_does_not_make_sms_a_factor_of_a_pool_that_chose_others(env: Env) -> None:
    pool = a_pool(env)
    mfa.configure(env, pool, {"mfa_configuration": "ON", **TOTP})
    user_pools.update(env, pool, name=None, settings={"mfa_configuration": "ON", "sms_configuration": SMS})
    assert "sms_mfa_configuration" not in told(env, pool.id)


def test_an_update_cannot_require_what_nobody_could_have(env: Env) -> None:
    pool = a_pool(env)
    with pytest.raises(errors.InvalidParameter, match="At least one of"):
        user_pools.update(env, pool, name=None, settings={"mfa_configuration": "ON"})
