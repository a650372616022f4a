"""People change their own profiles: what a client may write, and how a new address is proven."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app import errors
from app.accounts import administer, find, profile
from app.env import Env
from app.models import Alias, Client, Code, Pool, User
from tests.build import a_client, a_pool, a_user
from tests.conftest import Clock

Sent = Callable[..., list[Any]]
PROOF_FIRST = {"user_attribute_update_settings": {"attributes_require_verification_before_update": ["email"]}}
BY_EMAIL = {"alias_attributes": None, "username_attributes": ["email"]}
NEW = "new@example.com"


@pytest.fixture
def client(env: Env) -> Client:
    return a_client(env, a_pool(env))


@pytest.fixture
def careful(env: Env) -> Client:
    """Of a pool that wants the proof first."""
    return a_client(env, a_pool(env, **PROOF_FIRST))


def update(env: Env, client: Client, user: User, **attributes: str) -> list[Any]:
    return profile.update_attributes(env, client, user, attributes=attributes)


def of(env: Env, client: Client, user: User) -> dict[str, str]:
    found = find.existing(env, client.pool, user.username).user.all_attributes
    return {name: value for name, value in found.items() if name != "sub"}


def who(env: Env, client: Client, name: str) -> str | None:
    found = find.by_name(env, client.pool, name)
    return found.user.username if found else None


# -- changing an address ---------------------------------------------------------------------------------------


def test_a_new_address_is_proven_by_the_code_that_went_there(env: Env, client: Client, sent: Sent) -> None:
    alice = a_user(env, client.pool)
    [delivery] = update(env, client, alice, email=NEW, nickname="Al")
    assert (delivery.attribute, delivery.medium, delivery.destination) == ("email", "EMAIL", "n***@e***")
    assert of(env, client, alice) == {"email": NEW, "email_verified": "false", "nickname": "Al"}
    [message] = sent()
    assert (message.to, message.purpose) == (NEW, "verify_email")
    assert who(env, client, NEW) is who(env, client, "alice@example.com") is None
    profile.verify(env, client, alice, attribute="email", code=message.code)
    assert of(env, client, alice)["email_verified"] == "true"
    assert who(env, client, NEW) == "alice"


def test_where_the_proof_comes_first_the_old_address_stays_in_use_until_then(
    env: Env, careful: Client, sent: Sent
) -> None:
    alice = a_user(env, careful.pool)
    [delivery] = update(env, careful, alice, email=NEW, nickname="Al")
    assert delivery.destination == "n***@e***"
    assert of(env, careful, alice) == {"email": "alice@example.com", "email_verified": "true", "nickname": "Al"}
    assert (who(env, careful, "alice@example.com"), who(env, careful, NEW)) == ("alice", None)
    profile.verify(env, careful, alice, attribute="email", code=sent(NEW)[0].code)
    assert of(env, careful, alice) == {"email": NEW, "email_verified": "true", "nickname": "Al"}
    assert (who(env, careful, "alice@example.com"), who(env, careful, NEW)) == (None, "alice")


def test_an_address_that_waits_is_forgotten_with_its_code(env: Env, careful: Client, sent: Sent, clock: Clock) -> None:
    alice = a_user(env, careful.pool)
    update(env, careful, alice, email=NEW)
    clock.forward(hours=24)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, careful, alice, attribute="email", code=sent(NEW)[0].code)
    assert of(env, careful, alice)["email"] == "alice@example.com"
    assert profile.send_code(env, careful, alice, attribute="email").destination == "a***@e***"


def test_the_code_can_be_had_again_for_the_address_that_waits(env: Env, careful: Client, sent: Sent) -> None:
    alice = a_user(env, careful.pool)
    update(env, careful, alice, email=NEW)
    profile.send_code(env, careful, alice, attribute="email")
    second, first = sent(NEW)
    with pytest.raises(errors.CodeMismatch):
        profile.verify(env, careful, alice, attribute="email", code=first.code)
    profile.verify(env, careful, alice, attribute="email", code=second.code)
    assert of(env, careful, alice)["email"] == NEW


def test_setting_the_present_address_changes_nothing(env: Env, careful: Client, sent: Sent) -> None:
    alice = a_user(env, careful.pool)
    assert update(env, careful, alice, email="alice@example.com") == []
    assert of(env, careful, alice)["email_verified"] == "true"
    assert sent() == []


def test_both_addresses_can_be_changed_at_once(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env, auto_verified_attributes=["email", "phone_number"]))
    alice = a_user(env, client.pool)
    deliveries = update(env, client, alice, phone_number="+491701234567", email=NEW)
    assert [(one.attribute, one.medium) for one in deliveries] == [("email", "EMAIL"), ("phone_number", "SMS")]
    profile.verify(env, client, alice, attribute="phone_number", code=sent("+491701234567")[0].code)
    profile.verify(env, client, alice, attribute="email", code=sent(NEW)[0].code)
    assert {name for name, value in of(env, client, alice).items() if value == "true"} == {
        "email_verified",
        "phone_number_verified",
    }


def test_no_code_where_the_pool_does_not_verify(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env, auto_verified_attributes=[]))
    alice = a_user(env, client.pool)
    assert update(env, client, alice, email=NEW) == []
    assert of(env, client, alice)["email_verified"] == "false"
    assert sent() == []
    # It can be asked for all the same.
    profile.send_code(env, client, alice, attribute="email")
    profile.verify(env, client, alice, attribute="email", code=sent(NEW)[0].code)
    assert who(env, client, NEW) == "alice"


def test_where_addresses_are_usernames_a_taken_one_is_refused_at_once(env: Env, sent: Sent) -> None:
    for settings in (BY_EMAIL, BY_EMAIL | PROOF_FIRST):
        client = a_client(env, a_pool(env, **settings))
        a_user(env, client.pool, email="bob@example.com")
        alice = a_user(env, client.pool)
        with pytest.raises(errors.AliasExists, match="An account with the given email already exists."):
            update(env, client, alice, email="BOB@example.com", nickname="Al")
        assert of(env, client, alice) == {"email": "alice@example.com", "email_verified": "true"}
    assert sent() == []


def test_where_addresses_are_usernames_and_the_proof_comes_first_the_old_one_signs_in(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env, **BY_EMAIL, **PROOF_FIRST))
    alice = a_user(env, client.pool)
    update(env, client, alice, email=NEW)
    assert (who(env, client, "alice@example.com"), who(env, client, NEW)) == (alice.username, None)
    # Until it is proven, the address is anybody's.
    bob = a_user(env, client.pool, email=NEW)
    with pytest.raises(errors.AliasExists):
        profile.verify(env, client, alice, attribute="email", code=sent(NEW)[0].code)
    assert (who(env, client, "alice@example.com"), who(env, client, NEW)) == (alice.username, bob.username)


# -- proving ---------------------------------------------------------------------------------------------------


def test_a_code_works_once(env: Env, client: Client, sent: Sent) -> None:
    alice = a_user(env, client.pool)
    update(env, client, alice, email=NEW)
    profile.verify(env, client, alice, attribute="email", code=sent(NEW)[0].code)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, client, alice, attribute="email", code=sent(NEW)[0].code)


def test_a_code_is_of_one_user_and_one_attribute(env: Env, sent: Sent) -> None:
    client = a_client(env, a_pool(env, auto_verified_attributes=["email", "phone_number"]))
    alice = a_user(env, client.pool)
    bob = a_user(env, client.pool, "bob", email=None)
    update(env, client, alice, email=NEW)
    update(env, client, bob, email=NEW)
    hers = sent(NEW)[1].code
    with pytest.raises(errors.CodeMismatch):
        profile.verify(env, client, bob, attribute="email", code=hers)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, client, alice, attribute="phone_number", code=hers)
    profile.verify(env, client, alice, attribute="email", code=hers)


def test_a_taken_address_is_refused_and_the_code_stays_good(env: Env, client: Client, sent: Sent) -> None:
    alice, bob = a_user(env, client.pool), a_user(env, client.pool, "bob", email="bob@example.com")
    update(env, client, bob, email="alice@example.com")
    code = sent("alice@example.com")[0].code
    for _ in range(2):
        with pytest.raises(errors.AliasExists):
            profile.verify(env, client, bob, attribute="email", code=code)
    assert of(env, client, bob)["email_verified"] == "false"
    assert who(env, client, "alice@example.com") == "alice"
    profile.delete(env, alice)
    profile.verify(env, client, bob, attribute="email", code=code)
    assert who(env, client, "alice@example.com") == "bob"


def test_an_address_that_no_longer_has_to_wait_cannot_arrive_by_an_old_code(
    env: Env, careful: Client, sent: Sent
) -> None:
    alice = a_user(env, careful.pool)
    update(env, careful, alice, email=NEW)
    with env.transaction():
        row = env.db.get_one(Pool, careful.pool.id)
        row.settings = {name: value for name, value in row.settings.items() if name not in PROOF_FIRST}
        env.configuration_changed()
    changed = a_client(env, row)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, changed, alice, attribute="email", code=sent(NEW)[0].code)
    assert of(env, changed, alice)["email"] == "alice@example.com"


def test_guesses_are_few(env: Env, client: Client, sent: Sent) -> None:
    alice = a_user(env, client.pool)
    update(env, client, alice, email=NEW)
    code = sent(NEW)[0].code
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        with pytest.raises(errors.CodeMismatch):
            profile.verify(env, client, alice, attribute="email", code=wrong)
    with pytest.raises(errors.ExpiredCode):
        profile.verify(env, client, alice, attribute="email", code=code)


def test_tries_are_counted_over_all_codes_of_an_hour(env: Env, client: Client, sent: Sent, clock: Clock) -> None:
    alice = a_user(env, client.pool)
    for _ in range(3):
        profile.send_code(env, client, alice, attribute="email")
        for _ in range(5):
            with pytest.raises(errors.CodeMismatch):
                profile.verify(env, client, alice, attribute="email", code="nothing")
    profile.send_code(env, client, alice, attribute="email")
    code = sent("alice@example.com")[0].code
    with pytest.raises(errors.LimitExceeded, match="Attempt limit exceeded, please try after some time."):
        profile.verify(env, client, alice, attribute="email", code=code)
    clock.forward(hours=1)
    profile.verify(env, client, alice, attribute="email", code=code)


def test_few_codes_are_sent_in_an_hour_whichever_way_they_are_asked_for(env: Env, client: Client, sent: Sent) -> None:
    """Each new address gets a message: who has a token could otherwise write to the whole world in our name."""
    alice = a_user(env, client.pool)
    for n in range(3):
        update(env, client, alice, email=f"stranger{n}@example.com")
    for _ in range(2):
        profile.send_code(env, client, alice, attribute="email")
    with pytest.raises(errors.LimitExceeded):
        profile.send_code(env, client, alice, attribute="email")
    with pytest.raises(errors.LimitExceeded):
        update(env, client, alice, email="stranger9@example.com", nickname="Al")
    assert of(env, client, alice)["email"] == "stranger2@example.com"  # and nothing is half done
    assert len(sent()) == 5


def test_only_an_address_that_is_there_can_be_verified(env: Env, client: Client) -> None:
    alice = a_user(env, client.pool, nickname="Al")
    for name in ("nickname", "sub", "email_verified", "custom:email", ""):
        for act in (
            lambda name=name: profile.send_code(env, client, alice, attribute=name),
            lambda name=name: profile.verify(env, client, alice, attribute=name, code="123456"),
        ):
            with pytest.raises(errors.InvalidParameter, match="Only phone_number and email can be verified."):
                act()
    with pytest.raises(errors.InvalidParameter, match="The user has no phone_number to verify."):
        profile.send_code(env, client, alice, attribute="phone_number")


# -- what a client may write -----------------------------------------------------------------------------------

UNAUTHORIZED = "A client attempted to write unauthorized attribute"


def test_a_client_writes_what_is_on_its_list(env: Env, client: Client) -> None:
    limited = a_client(env, client.pool, write_attributes=["nickname"])
    alice = a_user(env, client.pool)
    update(env, limited, alice, nickname="Al")
    for attempt in ({"name": "Alice"}, {"name": ""}, {"nickname": "x", "email": NEW}):
        with pytest.raises(errors.NotAuthorized, match=UNAUTHORIZED):
            update(env, limited, alice, **attempt)
    with pytest.raises(errors.NotAuthorized, match=UNAUTHORIZED):
        profile.delete_attributes(env, limited, alice, names=["nickname", "email"])
    profile.delete_attributes(env, limited, alice, names=["nickname"])
    assert of(env, client, alice) == {"email": "alice@example.com", "email_verified": "true"}


@pytest.mark.parametrize("name", ["email_verified", "phone_number_verified", "sub", "identities", "dev:custom:score"])
@pytest.mark.parametrize("listed", [False, True])
def test_no_client_writes_what_is_not_the_users_to_say(env: Env, name: str, listed: bool) -> None:
    schema = [{"name": "score", "attribute_data_type": "Number", "developer_only_attribute": True}]
    pool = a_pool(env, schema=schema)
    client = a_client(env, pool)
    if listed:  # which a client cannot be given any more
        with env.transaction():
            client = env.db.get_one(Client, client.id)
            client.settings = {**client.settings, "write_attributes": ["nickname", name]}
    alice = a_user(env, pool)
    with pytest.raises(errors.NotAuthorized, match=UNAUTHORIZED):
        update(env, client, alice, **{name: "true"})
    with pytest.raises(errors.NotAuthorized, match=UNAUTHORIZED):
        profile.delete_attributes(env, client, alice, names=[name])


def test_what_is_required_or_written_once_or_unknown_is_not_deleted(env: Env) -> None:
    schema = [
        {"name": "phone_number", "required": True},
        {"name": "once", "attribute_data_type": "String", "mutable": False},
    ]
    client = a_client(env, a_pool(env, schema=schema))
    alice = a_user(env, client.pool, phone_number="+491701234567", **{"custom:once": "x"})
    for name, sentence in (
        ("phone_number", "Invalid user attributes: phone_number: Required attribute cannot be deleted."),
        ("custom:once", "user.custom:once: Attribute cannot be updated. (changing an immutable attribute)"),
        ("custom:x", "Invalid user attributes: user.custom:x: Attribute does not exist in the schema.\n"),
    ):
        with pytest.raises(errors.InvalidParameter) as refused:
            profile.delete_attributes(env, client, alice, names=["email", name])
        assert refused.value.message == sentence
    assert "email" in of(env, client, alice)


@pytest.mark.parametrize("way", ["delete", "empty"])
def test_nobody_gives_up_the_last_address_that_he_signs_in_with(env: Env, way: str) -> None:
    """Where addresses take the username's place. With another one he may; and an administrator may."""
    client = a_client(env, a_pool(env, alias_attributes=None, username_attributes=["email", "phone_number"]))
    alice = a_user(env, client.pool, phone_number="+491701234567")

    def without(*names: str) -> None:
        if way == "delete":
            profile.delete_attributes(env, client, alice, names=names)
        else:
            update(env, client, alice, **dict.fromkeys(names, ""))

    with pytest.raises(errors.InvalidParameter, match="attributes: email: Required attribute cannot be deleted"):
        without("phone_number", "email")
    without("email")
    with pytest.raises(errors.InvalidParameter, match="attributes: phone_number: Required attribute cannot be deleted"):
        without("phone_number")
    assert of(env, client, alice)["phone_number"] == "+491701234567"
    administer.delete_attributes(env, client.pool, username=alice.sub, names=["phone_number"])
    update(env, client, alice, nickname="Al")
    update(env, client, alice, email=NEW)
    assert who(env, client, NEW) == alice.username


# -- whoever is no longer there --------------------------------------------------------------------------------


def test_who_was_disabled_or_deleted_a_moment_ago_changes_nothing(env: Env, client: Client) -> None:
    """His token was good when it was looked at."""
    alice = a_user(env, client.pool)
    acts: list[Callable[[], Any]] = [
        lambda: update(env, client, alice, nickname="Al"),
        lambda: profile.delete_attributes(env, client, alice, names=["email"]),
        lambda: profile.send_code(env, client, alice, attribute="email"),
        lambda: profile.verify(env, client, alice, attribute="email", code="123456"),
    ]
    administer.disable(env, client.pool, username="alice")
    for act in acts:
        with pytest.raises(errors.UserDisabled):
            act()
    profile.delete(env, alice)
    for act in [*acts, lambda: profile.delete(env, alice)]:
        with pytest.raises(errors.UserNotFound):
            act()


# -- races -----------------------------------------------------------------------------------------------------


def at_once(app: Flask, *acts: Callable[[], Any]) -> Counter[str]:
    """Each act in a thread of its own; the names of what came of them."""
    start = threading.Barrier(len(acts))
    outcomes: list[str] = []

    def run(act: Callable[[], Any]) -> None:
        with app.app_context():
            start.wait(timeout=60)
            try:
                act()
                outcomes.append("done")
            except Exception as refused:
                outcomes.append(type(refused).__name__)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def test_of_those_who_prove_one_address_at_once_one_gets_it(app: Flask, env: Env, client: Client, sent: Sent) -> None:
    users = [a_user(env, client.pool, f"user{n}", email=None) for n in range(4)]
    codes = {}
    for user in users:
        update(env, client, user, email=NEW)
        codes[user.sub] = sent(NEW)[0].code

    def prove(user: User) -> Callable[[], None]:
        return lambda: profile.verify(env, client, user, attribute="email", code=codes[user.sub])

    assert at_once(app, *(prove(user) for user in users)) == {"done": 1, "AliasExists": 3}
    verified = [user for user in users if of(env, client, user).get("email_verified") == "true"]
    assert [user.username for user in verified] == [who(env, client, NEW)]
    with env.reading() as session:  # the codes of the others can be tried again
        assert session.scalar(select(func.count()).select_from(Code)) == 3


def test_of_parallel_uses_of_one_code_one_counts(app: Flask, env: Env, careful: Client, sent: Sent) -> None:
    alice = a_user(env, careful.pool)
    update(env, careful, alice, email=NEW)
    code = sent(NEW)[0].code
    outcomes = at_once(
        app, *[lambda: profile.verify(env, careful, alice, attribute="email", code=code) for _ in range(4)]
    )
    assert outcomes == {"done": 1, "ExpiredCode": 3}
    assert of(env, careful, alice) == {"email": NEW, "email_verified": "true"}


def test_a_user_who_is_deleted_while_he_changes_is_gone(app: Flask, env: Env, client: Client) -> None:
    alice = a_user(env, client.pool)
    outcomes = at_once(
        app,
        lambda: administer.delete(env, client.pool, username="alice"),
        *[lambda n=n: update(env, client, alice, email=f"new{n}@example.com") for n in range(4)],
    )
    assert outcomes["done"] >= 1 and outcomes.keys() <= {"done", "UserNotFound"}, outcomes
    with env.reading() as session:
        for model in (User, Alias, Code):
            assert session.scalar(select(func.count()).select_from(model)) == 0


def test_who_want_each_others_address_do_not_wait_for_each_other(app: Flask, env: Env, client: Client) -> None:
    addresses = {"alice": "alice@example.com", "bob": "bob@example.com"}
    for name, email in addresses.items():
        a_user(env, client.pool, name, email=email)

    def swap(name: str, email: str) -> Callable[[], None]:
        given = {"email": email, "email_verified": "true"}
        return lambda: administer.update_attributes(env, client.pool, username=name, attributes=given)

    for _ in range(5):
        outcomes = at_once(app, swap("alice", addresses["bob"]), swap("bob", addresses["alice"]))
        assert outcomes == {"AliasExists": 2}


def test_of_those_who_take_one_address_at_once_where_it_is_the_username_one_gets_it(app: Flask, env: Env) -> None:
    client = a_client(env, a_pool(env, **BY_EMAIL))
    users = [a_user(env, client.pool, email=f"user{n}@example.com") for n in range(4)]
    outcomes = at_once(app, *[lambda user=user: update(env, client, user, email=NEW) for user in users])
    assert outcomes == {"done": 1, "AliasExists": 3}
    assert [of(env, client, user)["email"] for user in users].count(NEW) == 1
