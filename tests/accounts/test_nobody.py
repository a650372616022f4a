"""What is told of names that mean nobody looks like the users of the pool, stays the same, and contradicts nothing."""

import uuid
from collections.abc import Callable

import pytest

from app.accounts import codes, nobody
from app.env import Env
from app.models import Pool
from tests.build import a_pool, a_user

NAMES = ("zoe", "Zoe", "z", "zoe@example.org", "+15555550199", "+12", "José", "日本", "n" * 2048, "zoe @", "-")
USERNAMES = {"alias_attributes": ["email"]}
ADDRESSES = {"alias_attributes": [], "username_attributes": ["email"]}


def told(env: Env, pool: Pool, name: str, *channels: str) -> tuple[str, str]:
    delivery = codes.simulated(env, pool, name, None, channels or ("email",))
    return delivery.medium, delivery.destination


@pytest.mark.parametrize("rules", [USERNAMES, ADDRESSES], ids=["usernames", "addresses"])
@pytest.mark.parametrize("name", NAMES)
def test_an_invented_sub_is_a_name_of_the_same_nobody(env: Env, rules: dict[str, list[str]], name: str) -> None:
    pool, other = (a_pool(env, algorithm="ES256", **rules) for _ in range(2))
    sub = nobody.sub(env, pool, name)
    assert str(uuid.UUID(sub)) == sub and uuid.UUID(sub).version == 4
    assert nobody.sub(env, pool, sub) == sub == nobody.sub(env, pool, name)
    assert nobody.sub(env, other, name) != sub
    for channels in (("email",), ("phone_number", "email")):
        if name not in ("+12", "José", "日本", "-"):  # which begin, or end, with what has no place in a UUID
            assert told(env, pool, name, *channels) == told(env, pool, sub, *channels)


def test_spellings_of_one_name_are_one_nobody(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    assert nobody.sub(env, pool, "Zoe") == nobody.sub(env, pool, "zoe") == nobody.sub(env, pool, "ｚｏｅ")
    sensitive = a_pool(env, algorithm="ES256", username_configuration={"case_sensitive": True})
    assert nobody.sub(env, sensitive, "Zoe") != nobody.sub(env, sensitive, "zoe")


def test_invented_subs_look_like_random_ones(env: Env) -> None:
    """Whatever they hide: no bit tells one from a user's."""
    pool = a_pool(env, algorithm="ES256")
    found = [uuid.UUID(nobody.sub(env, pool, f"zoe{n}@example.org")) for n in range(400)]
    assert len(set(found)) == 400
    for bit in set(range(128)) - {62, 63, *range(76, 80)}:
        ones = sum(one.int >> bit & 1 for one in found)
        assert 140 < ones < 260, bit  # six standard deviations


def test_masks_in_a_pool_of_one_domain_are_of_that_domain(env: Env) -> None:
    """And begin as the name does, where those of the users do."""
    pool = a_pool(env, algorithm="ES256", **USERNAMES)
    for name in ("anna", "bert", "carl"):
        a_user(env, pool, name, email=f"{name}@corp.example")
    for name in ("zoe", "yves", "xaver", "anna2", "9lives"):
        assert told(env, pool, name) == ("EMAIL", f"{name[0]}***@c***")
        assert told(env, pool, name, "phone_number", "email") == ("EMAIL", f"{name[0]}***@c***")
    assert told(env, pool, "zoe@elsewhere.example") == ("EMAIL", "z***@e***")


def test_masks_begin_with_any_letter_where_those_of_the_users_do(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256", **USERNAMES)
    for number, letter in enumerate("abc"):
        a_user(env, pool, f"{number}", email=f"{letter}@corp.example")
    begun = {told(env, pool, f"zoe{n}")[1][0] for n in range(40)}
    assert len(begun) > 10
    assert {told(env, pool, f"zoe{n}")[1][1:] for n in range(40)} == {"***@c***"}


def test_their_channel_is_that_of_the_users(env: Env) -> None:
    """Whose codes go by SMS, where all have a telephone, or by mail, where none has."""
    pool = a_pool(env, algorithm="ES256", **USERNAMES)
    a_user(env, pool, "anna", email=None, phone_number="+15555550100")
    assert told(env, pool, "zoe", "phone_number", "email")[0] == "SMS"
    a_user(env, other := a_pool(env, algorithm="ES256", **USERNAMES), "anna", email="anna@corp.example")
    assert told(env, other, "zoe", "phone_number", "email")[0] == "EMAIL"


def test_a_question_does_not_look_at_everybody(env: Env, statements: Callable[[], list[str]]) -> None:
    pool = a_pool(env, algorithm="ES256", **USERNAMES)
    for n in range(nobody.LOOKED_AT + 5):
        a_user(env, pool, f"user{n}", email=None)
    statements()
    assert nobody.neighbour(env, pool, "zoe", ("phone_number",)) == {}
    (query,) = statements()
    assert query.count("LIMIT") == 3
