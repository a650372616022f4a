"""Attributes are written where they live, with the names that they sign in by; an address is proven or it is not."""

from typing import Any

import pytest
from sqlalchemy import select

from app import errors
from app.accounts import administer, find, passwords, profile, sign_up
from app.env import Env, Origin
from app.models import Alias, Client, Code, Pool, User
from tests.build import PASSWORD, a_client, a_pool, a_user

BY_EMAIL = {"alias_attributes": None, "username_attributes": ["email", "phone_number"]}
PROOF_FIRST = {"user_attribute_update_settings": {"attributes_require_verification_before_update": ["email"]}}
CUSTOM = [
    {"name": "once", "attribute_data_type": "String", "mutable": False},
    {"name": "vip", "attribute_data_type": "Boolean"},
    {"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True},
    {"name": "given_name", "required": True},
]


def update(env: Env, pool: Pool, of_whom: str, /, **attributes: str) -> dict[str, str]:
    """As an administrator; what the user has then."""
    administer.update_attributes(env, pool, username=of_whom, attributes=attributes)
    return of(env, pool, of_whom)


def of(env: Env, pool: Pool, name: str) -> dict[str, str]:
    found = find.existing(env, pool, name).user.all_attributes
    return {name: value for name, value in found.items() if name != "sub"}


def who(env: Env, pool: Pool, name: str) -> str | None:
    found = find.by_name(env, pool, name)
    return found.user.username if found else None


def names_of(env: Env, user: User) -> set[tuple[str, str]]:
    with env.reading() as session:
        found = session.execute(select(Alias.attribute, Alias.value).where(Alias.user_sub == user.sub))
        return {(row.attribute, row.value) for row in found}


# -- values ----------------------------------------------------------------------------------------------------


def test_an_empty_value_removes_and_a_boolean_has_one_letter_case(env: Env) -> None:
    pool = a_pool(env, schema=CUSTOM)
    a_user(env, pool, email=None, given_name="Alice", nickname="Al")
    assert update(env, pool, "alice", nickname="", **{"custom:vip": "TRUE", "dev:custom:score": "7"}) == {
        "given_name": "Alice",
        "custom:vip": "true",
        "dev:custom:score": "7",
    }


def test_a_boolean_has_it_from_the_start(env: Env) -> None:
    pool = a_pool(env, schema=CUSTOM)
    made = administer.create(
        env, pool, username="alice", attributes={"custom:vip": "True", "custom:once": "x"}, temporary_password=None
    )
    assert made.all_attributes == {"sub": made.sub, "custom:vip": "true", "custom:once": "x"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"custom:once": "y"}, "user.custom:once: Attribute cannot be updated. (changing an immutable attribute)"),
        ({"custom:once": ""}, "user.custom:once: Attribute cannot be updated. (changing an immutable attribute)"),
        ({"sub": "x"}, "user.sub: Attribute cannot be updated. (changing an immutable attribute)"),
        ({"given_name": ""}, "Invalid user attributes: given_name: Required attribute cannot be deleted."),
        ({"custom:x": "1"}, "Invalid user attributes: user.custom:x: Attribute does not exist in the schema.\n"),
        ({"custom:x": ""}, "Invalid user attributes: user.custom:x: Attribute does not exist in the schema.\n"),
        ({"email": "nonsense"}, "Invalid email address format."),
        ({"phone_number_verified": "true"}, "Phone number is required to verify/un-verify a phone number"),
        ({"email": "", "email_verified": "true"}, "Email is required to verify/un-verify an email"),
    ],
)
def test_what_cannot_be_changed_changes_nothing(env: Env, given: dict[str, str], sentence: str) -> None:
    pool = a_pool(env, schema=CUSTOM)
    a_user(env, pool, given_name="Alice", **{"custom:once": "x"})
    before = of(env, pool, "alice")
    with pytest.raises(errors.InvalidParameter) as refused:
        update(env, pool, "alice", nickname="Al", **given)
    assert refused.value.message == sentence
    assert of(env, pool, "alice") == before


def test_what_is_written_once_is_not_written_later_even_if_it_never_was(env: Env) -> None:
    pool = a_pool(env, schema=CUSTOM)
    a_user(env, pool, given_name="Alice")
    with pytest.raises(errors.InvalidParameter, match="changing an immutable attribute"):
        update(env, pool, "alice", **{"custom:once": "x"})
    with pytest.raises(errors.InvalidParameter, match="changing an immutable attribute"):
        administer.delete_attributes(env, pool, username="alice", names=["custom:once"])


def test_the_value_that_it_has_can_be_set_even_where_it_cannot_be_changed(env: Env) -> None:
    pool = a_pool(env, schema=CUSTOM)
    alice = a_user(env, pool, given_name="Alice", **{"custom:once": "x"})
    assert update(env, pool, "alice", sub=alice.sub, **{"custom:once": "x"})["custom:once"] == "x"
    with env.reading() as session:
        assert "sub" not in session.get_one(User, alice.sub).attributes


# -- addresses -------------------------------------------------------------------------------------------------


def test_setting_the_same_address_again_keeps_it_proven_and_sends_nothing(env: Env, sent: Any) -> None:
    pool = a_pool(env)
    alice = a_user(env, pool)
    assert update(env, pool, "alice", email="alice@example.com")["email_verified"] == "true"
    assert sent() == []
    assert ("email", "alice@example.com") in names_of(env, alice)


def test_a_new_address_is_unproven_and_signs_in_when_it_is_not(env: Env, sent: Any) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    assert update(env, pool, "alice", email="new@example.com") == {
        "email": "new@example.com",
        "email_verified": "false",
    }
    assert who(env, pool, "alice@example.com") is who(env, pool, "new@example.com") is None
    assert [message.to for message in sent()] == ["new@example.com"]


def test_an_address_that_the_pool_does_not_verify_is_unproven_and_no_code_is_sent(env: Env, sent: Any) -> None:
    pool = a_pool(env, auto_verified_attributes=["phone_number"])
    a_user(env, pool)
    assert update(env, pool, "alice", email="new@example.com")["email_verified"] == "false"
    assert sent() == []


@pytest.mark.parametrize(("word", "signs_in"), [("true", "alice"), ("false", None), ("True", "alice")])
def test_an_administrator_may_say_whether_it_is_proven(env: Env, sent: Any, word: str, signs_in: str | None) -> None:
    """The flag is of the new address, though the old one had the same."""
    pool = a_pool(env)
    a_user(env, pool)
    assert update(env, pool, "alice", email="new@example.com", email_verified=word)["email_verified"] == word.lower()
    assert who(env, pool, "new@example.com") == signs_in
    assert who(env, pool, "alice@example.com") is None
    assert sent() == []


def test_the_flag_alone_gives_the_name_and_takes_it(env: Env) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    update(env, pool, "alice", email_verified="false")
    assert who(env, pool, "alice@example.com") is None
    update(env, pool, "alice", email_verified="true")
    assert who(env, pool, "alice@example.com") == "alice"
    administer.delete_attributes(env, pool, username="alice", names=["email_verified"])
    assert "email_verified" not in of(env, pool, "alice")
    assert who(env, pool, "alice@example.com") is None


def test_an_address_has_no_flag_until_something_says_whether_it_is_proven(env: Env, sent: Any) -> None:
    """As in Cognito. It counts as one that is not."""
    pool = a_pool(env, auto_verified_attributes=[])
    administer.create(
        env, pool, username="alice", attributes={"email": "alice@example.com"}, temporary_password=PASSWORD
    )
    assert "email_verified" not in of(env, pool, "alice")
    assert who(env, pool, "alice@example.com") is None
    assert "email_verified" not in update(env, pool, "alice", email="new@example.com")
    assert "email_verified" not in update(env, pool, "alice", name="Alice")
    assert update(env, pool, "alice", email_verified="true")["email_verified"] == "true"
    assert update(env, pool, "alice", email="newer@example.com")["email_verified"] == "false"
    assert "email_verified" not in update(env, pool, "alice", email="")
    assert "email_verified" not in update(env, pool, "alice", email="newest@example.com")


def test_an_address_goes_with_its_flag_and_its_name(env: Env) -> None:
    pool = a_pool(env)
    alice = a_user(env, pool)
    administer.delete_attributes(env, pool, username="alice", names=["email"])
    assert of(env, pool, "alice") == {}
    assert names_of(env, alice) == {("username", "alice")}
    again = a_user(env, pool, "again")
    assert who(env, pool, "alice@example.com") == again.username


def test_what_is_searched_for_follows_the_attribute(env: Env) -> None:
    pool = a_pool(env)
    alice = a_user(env, pool, name="Alice")
    update(env, pool, "alice", name="ALICIA", email="New@Example.com")
    with env.reading() as session:
        row = session.get_one(User, alice.sub)
    assert (row.name_key, row.email_key) == ("alicia", "new@example.com")
    update(env, pool, "alice", name="")
    with env.reading() as session:
        assert session.get_one(User, alice.sub).name_key is None


def test_a_proven_address_of_somebody_else_cannot_be_declared_proven(env: Env) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    a_user(env, pool, "bob", email="bob@example.com")
    with pytest.raises(errors.AliasExists, match="An account with the given email already exists."):
        update(env, pool, "bob", email="alice@example.com", email_verified="true")
    assert of(env, pool, "bob")["email"] == "bob@example.com"
    # Unproven it is only a value, and may be shared.
    update(env, pool, "bob", email="alice@example.com", email_verified="false")
    with pytest.raises(errors.AliasExists):
        update(env, pool, "bob", email_verified="true")
    assert who(env, pool, "alice@example.com") == "alice"


def test_where_addresses_are_usernames_the_new_one_signs_in_at_once(env: Env) -> None:
    pool = a_pool(env, **BY_EMAIL)
    alice = a_user(env, pool)
    update(env, pool, alice.sub, email="new@example.com")
    assert who(env, pool, "new@example.com") == alice.username
    assert who(env, pool, "alice@example.com") is None
    update(env, pool, alice.sub, phone_number="+491701234567")
    assert who(env, pool, "+491701234567") == who(env, pool, "new@example.com") == alice.username
    bob = a_user(env, pool, email="bob@example.com")
    for taken in ({"email": "NEW@example.com"}, {"phone_number": "+491701234567"}):
        with pytest.raises(errors.AliasExists, match="already exists."):
            update(env, pool, bob.sub, **taken)


def test_a_preferred_username_is_had_once_confirmed_and_by_one(env: Env) -> None:
    pool = a_pool(env, alias_attributes=["preferred_username"])
    a_user(env, pool, preferred_username="Queen")
    a_user(env, pool, "bob", email=None, status="UNCONFIRMED")
    with pytest.raises(errors.InvalidParameter, match="before the user is confirmed"):
        update(env, pool, "bob", preferred_username="king")
    a_user(env, pool, "carol", email=None)
    with pytest.raises(errors.AliasExists, match="given preferred_username already exists"):
        update(env, pool, "carol", preferred_username="queen")
    update(env, pool, "carol", preferred_username="king")
    update(env, pool, "alice", preferred_username="")
    update(env, pool, "carol", preferred_username="queen")
    assert who(env, pool, "QUEEN") == "carol" and who(env, pool, "king") is None


@pytest.mark.parametrize("rules", [{}, PROOF_FIRST])
def test_an_address_that_was_mistyped_at_the_sign_up_is_put_right_and_confirms(
    env: Env, sent: Any, rules: dict[str, Any]
) -> None:
    client = a_client(env, a_pool(env, **rules))
    given = {"email": "alcie@example.com"}
    sign_up.sign_up(env, client, username="alice", password=PASSWORD, attributes=given, origin=Origin())
    [wrong] = sent()
    update(env, client.pool, "alice", email="alice@example.com")
    with pytest.raises(errors.CodeMismatch):
        sign_up.confirm(env, client, username="alice", code=wrong.code)
    sign_up.confirm(env, client, username="alice", code=sent("alice@example.com")[0].code)
    assert of(env, client.pool, "alice") == {"email": "alice@example.com", "email_verified": "true"}
    assert who(env, client.pool, "alice@example.com") == "alice"


# -- codes of an address that was left -------------------------------------------------------------------------


def live(env: Env) -> list[tuple[str, str]]:
    with env.reading() as session:
        return [(row.purpose, row.destination) for row in session.execute(select(Code.purpose, Code.destination))]


@pytest.mark.parametrize("rules", [{}, PROOF_FIRST])
@pytest.mark.parametrize("then", [{"email": "third@example.com", "email_verified": "true"}, {"email": ""}])
def test_a_code_for_an_address_ends_when_an_administrator_sets_another(
    env: Env, sent: Any, rules: dict[str, Any], then: dict[str, str]
) -> None:
    pool = a_pool(env, **rules)
    client, alice = a_client(env, pool), a_user(env, pool)
    profile.update_attributes(env, client, alice, attributes={"email": "second@example.com"})
    [message] = sent("second@example.com")
    update(env, pool, "alice", **then)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, client, alice, attribute="email", code=message.code)
    assert of(env, pool, "alice").get("email", "") == then["email"]
    assert live(env) == []


def test_removing_an_address_ends_the_wait_of_the_one_that_was_to_come(env: Env, sent: Any) -> None:
    pool = a_pool(env, **PROOF_FIRST)
    client, alice = a_client(env, pool), a_user(env, pool, email=None)
    profile.update_attributes(env, client, alice, attributes={"email": "first@example.com"})
    assert of(env, pool, "alice") == {} and live(env) == [("verify_email", "first@example.com")]
    profile.delete_attributes(env, client, alice, names=["email"])
    assert live(env) == []


def test_a_code_that_recovers_a_password_does_not_outlive_the_address_it_went_to(env: Env, client: Client) -> None:
    a_user(env, client.pool)
    passwords.forgot(env, client, username="alice", origin=Origin())
    assert [purpose for purpose, _ in live(env)] == ["forgot_password"]
    update(env, client.pool, "alice", email="new@example.com", email_verified="true")
    assert live(env) == []


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env))


def test_who_loses_an_address_to_another_account_has_changed(env: Env, clock: Any) -> None:
    pool = a_pool(env)
    alice = a_user(env, pool)
    clock.forward(minutes=1)
    with env.transaction():
        sign_up.add_user(
            env,
            pool,
            sub=env.random.uuid(),
            username="bob",
            attributes={"email": "alice@example.com", "email_verified": "true"},
            status="CONFIRMED",
            force_alias=True,
        )
    assert who(env, pool, "alice@example.com") == "bob"
    with env.reading() as session:
        row = session.get_one(User, alice.sub)
    assert (row.email_verified, row.modified_at) == (False, env.now())
