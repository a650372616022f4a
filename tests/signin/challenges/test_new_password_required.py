"""A password of one's own: what is shown on the way, and what may be written with it."""

from typing import Any

import orjson
import pytest

from app import errors
from app.accounts import find
from app.env import Env, Origin
from app.models import Client, User
from app.signin import flow, granting
from tests.build import PASSWORD, a_client, a_pool, a_user

SCHEMA = [
    {"name": "given_name", "required": True},
    {"name": "birthdate", "required": True, "mutable": False},
    {"name": "once", "attribute_data_type": "String", "mutable": False},
    {"name": "vip", "attribute_data_type": "Boolean"},
    {"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True},
]
REQUIRED = {"given_name": "Alice", "birthdate": "1990-05-17"}


def invited(env: Env, *, schema: Any = SCHEMA, client: dict[str, Any] | None = None, **attributes: str) -> Client:
    """A client of a pool in which alice has a temporary password."""
    made = a_client(env, a_pool(env, schema=schema), **(client or {}))
    a_user(env, made.pool, status="FORCE_CHANGE_PASSWORD", **attributes)
    return made


def begin(env: Env, client: Client) -> flow.Ask:
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(step, flow.Ask)
    return step


def answer(env: Env, client: Client, step: flow.Ask, username: str = "alice", **attributes: str) -> Any:
    given = {f"userAttributes.{name}": value for name, value in attributes.items()}
    granted = flow.answer(
        env,
        client,
        challenge=step.challenge,
        session=step.handle,
        given={"USERNAME": username, "NEW_PASSWORD": "Another-horse-8", **given},
        origin=Origin(),
    )
    assert isinstance(granted, flow.Granted)
    return granting.tokens(env, granted)


def alice(env: Env, client: Client) -> User:
    return find.existing(env, client.pool, "alice").user


def test_a_client_is_shown_what_it_may_read(env: Env) -> None:
    given = {"nickname": "Al", "dev:custom:score": "7"}
    unlimited = begin(env, invited(env, **given))
    assert orjson.loads(unlimited.params["userAttributes"]) == {
        "email": "alice@example.com",
        "email_verified": "true",
        "nickname": "Al",
    }
    limited = begin(env, invited(env, client={"read_attributes": ["nickname"]}, **given))
    assert orjson.loads(limited.params["userAttributes"]) == {"nickname": "Al"}


def test_what_is_missing_is_asked_for_and_has_to_be_given(env: Env) -> None:
    client = invited(env)
    step = begin(env, client)
    assert set(orjson.loads(step.params["requiredAttributes"])) == {
        "userAttributes.given_name",
        "userAttributes.birthdate",
    }
    for given, missing in (({}, "given_name"), ({"given_name": ""}, "given_name"), ({"given_name": "A"}, "birthdate")):
        with pytest.raises(errors.InvalidParameter, match=f"^Invalid attributes given, {missing} is missing$"):
            answer(env, client, step, **given)
    answer(env, client, step, **REQUIRED)
    assert alice(env, client).attributes == REQUIRED


def test_what_is_required_and_written_once_can_be_given_here_but_not_changed(env: Env) -> None:
    """Nobody could ever be this user otherwise: administrators cannot write it any more either."""
    client = invited(env, **REQUIRED)
    step = begin(env, client)
    with pytest.raises(errors.InvalidParameter, match="changing an immutable attribute"):
        answer(env, client, step, birthdate="1991-01-01")
    with pytest.raises(errors.InvalidParameter, match="changing an immutable attribute"):
        answer(env, client, step, **{"custom:once": "x"})
    answer(env, client, step, **REQUIRED)


@pytest.mark.parametrize(
    ("given", "refusal", "sentence"),
    [
        ({"email_verified": "true"}, errors.NotAuthorized, "unauthorized attribute"),
        ({"dev:custom:score": "9"}, errors.NotAuthorized, "unauthorized attribute"),
        ({"custom:x": "1"}, errors.InvalidParameter, "user.custom:x: Attribute does not exist in the schema."),
        ({"given_name": ""}, errors.InvalidParameter, "given_name: Required attribute cannot be deleted."),
        ({"email": "nonsense"}, errors.InvalidParameter, "Invalid email address format."),
        ({"given_name": "Mallory"}, errors.NotAuthorized, "^Cannot modify an already provided given_name$"),
    ],
)
def test_what_cannot_be_written_does_not_use_the_session_up(
    env: Env, given: dict[str, str], refusal: type[errors.Refusal], sentence: str
) -> None:
    client = invited(env, **REQUIRED)
    step = begin(env, client)
    before = alice(env, client).all_attributes
    with pytest.raises(refusal, match=sentence):
        answer(env, client, step, **given)
    assert alice(env, client).all_attributes == before
    assert alice(env, client).status == "FORCE_CHANGE_PASSWORD"
    answer(env, client, step, email="alice@example.com", **{"custom:vip": "TRUE"})
    assert alice(env, client).all_attributes == before | {"custom:vip": "true"}


def test_an_address_that_is_a_username_stays_and_a_second_one_may_be_given(env: Env) -> None:
    """Whoever found the invitation would otherwise take the account to a mailbox of his own."""
    client = a_client(env, a_pool(env, alias_attributes=[], username_attributes=["email", "phone_number"]))
    a_user(env, client.pool, status="FORCE_CHANGE_PASSWORD")
    given = {"USERNAME": "alice@example.com", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())
    assert isinstance(step, flow.Ask)
    name = step.params["USER_ID_FOR_SRP"]
    with pytest.raises(errors.NotAuthorized, match="^Cannot modify an already provided email$"):
        answer(env, client, step, name, email="mallory@example.com")
    answer(env, client, step, name, email="alice@example.com", phone_number="+15555550100")
    assert find.existing(env, client.pool, name).user.phone_number == "+15555550100"
