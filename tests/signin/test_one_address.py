"""What is asked after a password, and what recovers it: every line of the table, at a real sign-in (reference: 2.7,
4.5, 10.2). The table itself, and what holds for every pool and user, is in tests/accounts/test_factors.py."""

from __future__ import annotations

from typing import Any

import pytest

from app import errors
from app.accounts import passwords
from app.accounts.factors import EMAIL, SMS
from app.env import Env, Origin
from app.models import Client
from app.signin import flow
from app.signin.state import Ask, Granted
from tests.accounts.test_factors import ADMIN, MAIL, PHONE, REQUIRED
from tests.build import PASSWORD, a_client, a_pool, a_user, with_factors

HERE = Origin(ip="192.0.2.1")
Channels = tuple[str, ...] | None


def a_place(env: Env, mfa: str, offers: tuple[str, ...], recovery: Channels, verified: tuple[str, ...]) -> Client:
    said: dict[str, Any] = {}
    if recovery is not None:
        ways = [{"name": f"verified_{name}", "priority": n} for n, name in enumerate(recovery, 1)]
        said["account_recovery_setting"] = {"recovery_mechanisms": ways or [{"name": "admin_only", "priority": 1}]}
    pool = a_pool(env, algorithm="ES256", **said)
    client = a_client(env, with_factors(env, pool, mfa, *offers) if mfa != "OFF" else pool)
    phone = {"phone_number": "+15555550100", "phone_number_verified": "true"} if PHONE in verified else {}
    a_user(env, pool, email="alice@example.com" if MAIL in verified else None, **phone)
    return client


def asked(env: Env, client: Client) -> str | None:
    """None: nothing, there are tokens."""
    given = {"USERNAME": "alice", "PASSWORD": PASSWORD}
    step = flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=HERE)
    assert isinstance(step, Ask | Granted)
    return step.challenge if isinstance(step, Ask) else None


def recovers(env: Env, client: Client) -> str | None:
    """None: nothing does."""
    try:
        return passwords.forgot(env, client, username="alice", origin=HERE).attribute
    except errors.InvalidParameter as refused:
        assert refused.message == passwords.NO_ADDRESS
    except errors.NotAuthorized as refused:
        assert refused.message == "Contact administrator to reset password."
    return None


@pytest.mark.parametrize(("offers", "recovery", "verified", "usable", "channel"), REQUIRED)
def test_where_a_factor_is_required(
    env: Env,
    offers: tuple[str, ...],
    recovery: Channels,
    verified: tuple[str, ...],
    usable: tuple[str, ...],
    channel: str | None,
) -> None:
    client = a_place(env, "ON", offers, recovery, verified)
    if usable:
        assert asked(env, client) == (usable[0] if len(usable) == 1 else "SELECT_MFA_TYPE")
    elif EMAIL in offers and MAIL not in verified:
        assert asked(env, client) == "MFA_SETUP"
    else:
        with pytest.raises(errors.InvalidParameter, match="an administrator has to"):
            asked(env, client)
    assert recovers(env, client) == channel


@pytest.mark.parametrize("mfa", ["OFF", "OPTIONAL"])
@pytest.mark.parametrize("recovery", [None, (PHONE,), (MAIL,), (PHONE, MAIL), (MAIL, PHONE), ADMIN])
@pytest.mark.parametrize("verified", [(), (PHONE,), (MAIL,), (PHONE, MAIL)])
def test_where_none_is_an_address_only_recovers(
    env: Env, mfa: str, recovery: Channels, verified: tuple[str, ...]
) -> None:
    client = a_place(env, mfa, (SMS, EMAIL), recovery, verified)
    assert asked(env, client) is None
    best = [name for name in ((PHONE, MAIL) if recovery is None else recovery) if name in verified]
    assert recovers(env, client) == (best[0] if best else None)
