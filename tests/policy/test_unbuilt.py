"""What is not built is refused where it would act: in use-cases, at the API, at the token endpoint, on the pages."""

import pytest

from app import errors
from app.env import Env, Origin
from app.models import Client, Pool
from app.policy import unbuilt
from app.pools import find
from app.signin import flow, granting
from app.signin.state import Granted
from app.tokens import issue, refresh
from tests.build import PASSWORD, a_client, a_machine, a_pool, a_user


def with_setting(env: Env, pool: Pool, **settings: object) -> None:
    """Set in the row itself: these tests are about what acts on it."""
    with env.transaction():
        row = env.db.get_one(Pool, pool.id)
        row.settings = {**row.settings, **settings}
        env.configuration_changed()


def signed_in(env: Env, client: Client) -> issue.Tokens:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(step, Granted)
    return granting.tokens(env, step)


def test_a_trigger_is_named_as_the_service_names_it(env: Env) -> None:
    pool = a_pool(env)
    unbuilt.demand_no_trigger(pool, "pre_sign_up")
    with_setting(env, pool, lambda_config={"pre_sign_up": "arn:aws:lambda:us-east-1:1:function:f"})
    pool = find.pool(env, pool.id)
    unbuilt.demand_no_trigger(pool, "post_confirmation")
    with pytest.raises(errors.UnexpectedLambda, match="PreSignUp invocation failed due to error TriggersNotAvailable."):
        unbuilt.demand_no_trigger(pool, "post_confirmation", "pre_sign_up")


@pytest.mark.parametrize(
    ("asks", "refusal"),
    [
        ({"mfa_configuration": "ON"}, errors.InvalidUserPoolConfiguration),
        ({"lambda_config": {"pre_authentication": "arn"}}, errors.UnexpectedLambda),
        ({"lambda_config": {"post_authentication": "arn"}}, errors.UnexpectedLambda),
        ({"lambda_config": {"pre_token_generation": "arn"}}, errors.UnexpectedLambda),
        (
            {"lambda_config": {"pre_token_generation_config": {"lambda_version": "V2_0", "lambda_arn": "arn"}}},
            errors.UnexpectedLambda,
        ),
    ],
)
def test_nobody_is_signed_in_past_what_the_pool_asks_for(
    env: Env, asks: dict[str, object], refusal: type[errors.Refusal]
) -> None:
    pool = a_pool(env)
    client = a_client(env, pool)
    a_user(env, pool)
    assert signed_in(env, client).access
    with_setting(env, pool, **asks)
    client = find.client(env, client.id)
    with pytest.raises(refusal):
        signed_in(env, client)


def test_an_optional_second_factor_asks_nobody_who_has_none(env: Env) -> None:
    pool = a_pool(env)
    with_setting(env, pool, mfa_configuration="OPTIONAL")
    a_user(env, pool)
    assert signed_in(env, a_client(env, pool)).access


def test_tokens_are_not_refreshed_past_a_trigger(env: Env) -> None:
    pool = a_pool(env)
    client = a_client(env, pool)
    a_user(env, pool)
    tokens = signed_in(env, client)
    with_setting(env, pool, lambda_config={"pre_token_generation": "arn"})
    with pytest.raises(errors.UnexpectedLambda):
        refresh.find(env, find.client(env, client.id), tokens.refresh or "")


def test_a_machine_is_asked_about_by_the_third_version_only(env: Env) -> None:
    pool = a_pool(env)
    machine = a_machine(env, pool)
    for version, asked in (("V1_0", False), ("V2_0", False), ("V3_0", True)):
        config = {"lambda_version": version, "lambda_arn": "arn"}
        with_setting(env, pool, lambda_config={"pre_token_generation_config": config})
        client = find.client(env, machine.id)
        if asked:
            with pytest.raises(errors.UnexpectedLambda):
                issue.for_machine(env, client, "https://api.example.com/read")
        else:
            assert issue.for_machine(env, client, "https://api.example.com/read").access
