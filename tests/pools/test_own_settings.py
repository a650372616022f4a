"""Settings that Cognito does not have, and the presets that are bundles of them."""

import pytest

from app import errors
from app.env import Env
from app.models import Pool
from app.pools import find, mfa, own_settings, user_pools
from tests.build import a_pool

RECOMMENDED = own_settings.PRESETS["recommended"]


@pytest.fixture
def pool(env: Env) -> Pool:
    return a_pool(env, algorithm="ES256")


def test_a_pool_that_says_nothing_is_as_cognito_has_it(pool: Pool) -> None:
    assert own_settings.of(pool) == own_settings.PRESETS["cognito-compatible"]
    assert not pool.ends_sessions_with_password and pool.recent_sign_in is None


def test_every_preset_says_every_setting() -> None:
    assert {frozenset(preset) for preset in own_settings.PRESETS.values()} == {frozenset(own_settings.COMPATIBLE)}


def test_each_is_set_alone_and_stays(env: Env, pool: Pool) -> None:
    own_settings.configure(env, pool, {"recent_sign_in_minutes": 30})
    found = own_settings.configure(env, pool, {"end_sessions_with_password": True})
    changed = {"recent_sign_in_minutes": 30, "end_sessions_with_password": True}
    assert own_settings.of(found) == own_settings.COMPATIBLE | changed
    found = own_settings.configure(env, pool, {"recent_sign_in_minutes": 0})
    assert found.recent_sign_in is None and found.ends_sessions_with_password


def test_no_operation_of_the_api_resets_them(env: Env, pool: Pool) -> None:
    """UpdateUserPool puts back all that it is not told, and knows nothing of these."""
    own_settings.configure(env, pool, RECOMMENDED)
    user_pools.update(env, pool, name="Others", settings={})
    user_pools.add_custom_attributes(env, pool, [{"name": "tier", "attribute_data_type": "String"}])
    user_pools.set_sessions(env, pool, tracking="ENABLED", most=3)
    mfa.configure(env, pool, {})
    assert own_settings.of(find.pool(env, pool.id)) == RECOMMENDED


@pytest.mark.parametrize(
    "given",
    [
        {"recent_sign_in_minutes": -1},
        {"recent_sign_in_minutes": 1441},
        {"colour": "red"},
        {"audit_retention_days": -1},
        {"audit_retention_days": 36501},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(env: Env, pool: Pool, given: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidParameter):
        own_settings.configure(env, pool, {"end_sessions_with_password": True, **given})
    assert own_settings.of(find.pool(env, pool.id)) == own_settings.COMPATIBLE
