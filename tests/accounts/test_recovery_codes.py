"""Recovery codes: ten, for paper, each once."""

import re

from app.accounts import recovery_codes
from app.env import Env
from app.models import RecoveryCode
from tests.build import a_pool, a_user, recovery_codes_left


def test_ten_codes_of_74_bits_that_nobody_misreads(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        codes = recovery_codes.make(env, user)
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){2}", code)
    assert recovery_codes_left(env, user) == 10


def test_only_digests_are_kept_and_each_is_its_owners(env: Env) -> None:
    pool = a_pool(env)
    user, other = a_user(env, pool), a_user(env, pool, "bob", email="bob@example.com")
    with env.transaction():
        code = recovery_codes.make(env, user)[0]
        with env.db.no_autoflush:
            digests = [row.digest for row in env.db.query(RecoveryCode)]
    assert code not in str(digests)
    assert recovery_codes.fits(env, user, code)
    assert not recovery_codes.fits(env, other, code)


def test_a_code_may_be_typed_without_hyphens_in_capitals_or_with_spaces(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        code = recovery_codes.make(env, user)[0]
    for typed in (code.replace("-", ""), code.upper(), f" {code.replace('-', ' ')} "):
        assert recovery_codes.fits(env, user, typed)
    for wrong in ("", "-", code[:-1], code + "a"):
        assert not recovery_codes.fits(env, user, wrong)


def test_new_codes_make_the_old_ones_worthless(env: Env) -> None:
    user = a_user(env, a_pool(env))
    with env.transaction():
        old = recovery_codes.make(env, user)
    with env.transaction():
        new = recovery_codes.make(env, user)
    assert not any(recovery_codes.fits(env, user, code) for code in old)
    assert all(recovery_codes.fits(env, user, code) for code in new)
    assert recovery_codes_left(env, user) == 10
