"""What is not built is refused where it would act: in use-cases, at the API, at the token endpoint, on the pages."""

import pytest
from sqlalchemy import func, select

from app import errors
from app.accounts import passwords
from app.env import Env, Origin
from app.models import Client, Pool, Throttle
from app.policy import unbuilt
from app.pools import find
from app.signin import flow, granting, plan
from app.signin.state import Ask, Granted
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
    ("trigger", "name"), [("custom_sms_sender", "CustomSMSSender"), ("custom_email_sender", "CustomEmailSender")]
)
def test_a_sender_is_named_as_in_lambda_config(env: Env, trigger: str, name: str) -> None:
    pool = a_pool(env)
    with_setting(env, pool, lambda_config={trigger: {"lambda_version": "V1_0", "lambda_arn": "arn"}})
    with pytest.raises(errors.UnexpectedLambda, match=f"^{name} invocation failed"):
        unbuilt.demand_no_trigger(find.pool(env, pool.id), trigger)


@pytest.mark.parametrize("flow_name", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "ADMIN_USER_PASSWORD_AUTH", plan.PAGES])
@pytest.mark.parametrize("username", ["alice", "nobody"])
def test_pre_authentication_is_asked_before_the_password(env: Env, flow_name: str, username: str) -> None:
    """The wrong password is not looked at, and no attempt is counted."""
    pool = a_pool(env)
    client = a_client(
        env,
        pool,
        explicit_auth_flows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH"],
    )
    a_user(env, pool)
    with_setting(env, pool, lambda_config={"pre_authentication": "arn"})
    client = find.client(env, client.id)
    given = {"USERNAME": username, "PASSWORD": "Wrong-horse-7", "SRP_A": "ff"}
    for _ in range(6):
        with pytest.raises(errors.UnexpectedLambda, match="^PreAuthentication"):
            flow.begin(env, client, flow=flow_name, given=given, origin=Origin())
    with env.reading() as session:
        assert session.scalar(select(func.count()).select_from(Throttle)) == 0


MIGRATION = {"user_migration": "arn:aws:lambda:us-east-1:1:function:migrate"}
CHOICE = ["ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


@pytest.mark.parametrize("hides", [True, False])
@pytest.mark.parametrize("flow_name", ["USER_PASSWORD_AUTH", plan.PAGES])
def test_an_unknown_name_is_not_signed_in_past_user_migration(env: Env, hides: bool, flow_name: str) -> None:
    """Who exists must not show: where that is hidden, and on the pages, a wrong password is refused alike."""
    pool = a_pool(env, lambda_config=MIGRATION)
    client = a_client(env, pool, prevent_user_existence_errors="ENABLED" if hides else "LEGACY")
    a_user(env, pool)

    def refused(username: str) -> type[Exception]:
        with pytest.raises(errors.Refusal) as caught:
            given = {"USERNAME": username, "PASSWORD": "Wrong-horse-7"}
            flow.begin(env, client, flow=flow_name, given=given, origin=Origin())
        return caught.type

    assert refused("nobody") is errors.UnexpectedLambda
    hidden = hides or flow_name == plan.PAGES
    assert refused("alice") is (errors.UnexpectedLambda if hidden else errors.NotAuthorized)
    right = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    assert isinstance(flow.begin(env, client, flow=flow_name, given=right, origin=Origin()), Granted)


@pytest.mark.parametrize("hides", [True, False])
@pytest.mark.parametrize("preference", [{"PREFERRED_CHALLENGE": "PASSWORD"}, {}])
def test_an_unknown_name_does_not_choose_the_password_past_user_migration(
    env: Env, hides: bool, preference: dict[str, str]
) -> None:
    """USER_AUTH hands a password on too (reference: 5.1); where nothing is preferred, it may be chosen."""
    pool = a_pool(env, lambda_config=MIGRATION)
    client = a_client(
        env, pool, explicit_auth_flows=CHOICE, prevent_user_existence_errors="ENABLED" if hides else "LEGACY"
    )
    given = {"USERNAME": "nobody", "PASSWORD": PASSWORD, **preference}
    with pytest.raises(errors.UnexpectedLambda, match="^UserMigration"):
        step = flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())
        assert isinstance(step, Ask)
        flow.answer(
            env,
            client,
            challenge="SELECT_CHALLENGE",
            session=step.handle,
            given=given | {"ANSWER": "PASSWORD"},
            origin=Origin(),
        )


def test_an_unknown_name_that_prefers_another_factor_is_not_known(env: Env) -> None:
    pool = a_pool(env, lambda_config=MIGRATION)
    client = a_client(env, pool, explicit_auth_flows=CHOICE, prevent_user_existence_errors="LEGACY")
    given = {"USERNAME": "nobody", "PREFERRED_CHALLENGE": "PASSWORD_SRP", "SRP_A": "ff"}
    with pytest.raises(errors.UserNotFound):
        flow.begin(env, client, flow="USER_AUTH", given=given, origin=Origin())


def test_user_migration_is_never_asked_in_srp(env: Env) -> None:
    """Reference: 9.4. There is no password that could be handed on."""
    pool = a_pool(env, lambda_config=MIGRATION)
    client = a_client(env, pool, prevent_user_existence_errors="ENABLED")
    step = flow.begin(env, client, flow="USER_SRP_AUTH", given={"USERNAME": "nobody", "SRP_A": "ff"}, origin=Origin())
    assert isinstance(step, Ask)


@pytest.mark.parametrize("hides", [True, False])
def test_a_forgotten_password_is_not_answered_past_user_migration(env: Env, hides: bool) -> None:
    pool = a_pool(env, lambda_config=MIGRATION)
    client = a_client(env, pool, prevent_user_existence_errors="ENABLED" if hides else "LEGACY")
    a_user(env, pool)
    for username in ("nobody", "alice") if hides else ("nobody",):
        with pytest.raises(errors.UnexpectedLambda, match="^UserMigration"):
            passwords.forgot(env, client, username=username, origin=Origin())
    if not hides:
        assert passwords.forgot(env, client, username="alice", origin=Origin()).medium == "EMAIL"


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
