"""Where pools and their clients deviate from what is recommended, or ask for what this version cannot do.

Deviations are advice: a pool that comes from Cognito behaves as its applications expect. Each says what a file for
`cognate pool apply` has to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlalchemy import select

from app import errors
from app.config import SettingsError
from app.doctor.finding import ADVICE, PROBLEM, Finding, Group
from app.doctor.subject import Subject
from app.env import Env
from app.models import Client, Pool
from app.models.pool import TRIGGERS
from app.policy import unbuilt
from app.pools import find, own_settings, user_pools

tell = Group("pools")

BCP = "RFC 9700"
NIST = "NIST SP 800-63B-4"
ASVS = "OWASP ASVS 5.0"
PAGE = 60
ALONE, WITH_MFA = 15, 8
"""Characters of a password that is the only factor, and of one that never is."""
LONGEST_ACCESS, LONGEST_REFRESH = timedelta(hours=1), timedelta(days=30)
"""Lives of tokens that are Cognito's defaults. An access token ends at its time, whatever happens to its user, for
whoever verifies it without asking."""
LONGEST_INVITATION = timedelta(days=7)
"""Cognito's default for temporary passwords."""


def check(subject: Subject) -> list[Finding]:
    try:
        with subject.environment() as env:
            return _all(env, subject.pool_id)
    except errors.UnknownPool as unknown:
        return [tell.problem("pool", unknown.message, "name one that `cognate pool list` shows")]
    except SettingsError as wrong:
        return [tell.skipped("pools", f"Pools are in the database, which cannot be used: {wrong}")]


def _all(env: Env, pool_id: str | None) -> list[Finding]:
    found, looked_at = [], 0
    for pool in [find.pool(env, pool_id)] if pool_id else _pools(env):
        looked_at += 1
        found += of_pool(pool)
        with env.reading() as session:
            query = select(Client).where(Client.pool_id == pool.id).order_by(Client.name, Client.id)
            clients = list(session.scalars(query).unique())
        for client in clients:
            found += of_client(client)
    if not looked_at:
        return [tell.fine("pools", "There are no pools yet.")]
    return found or [tell.fine("pools", f"{looked_at} pool{'s' * (looked_at != 1)}, as recommended.")]


def _pools(env: Env) -> Iterator[Pool]:
    token = None
    while True:
        page = user_pools.listed(env, limit=PAGE, token=token)
        yield from page.rows
        token = page.token
        if token is None:
            return


# -- a pool ----------------------------------------------------------------------------------------------------


def of_pool(pool: Pool) -> list[Finding]:
    return [
        *_triggers(pool),
        *_add_ons(pool),
        *_own(pool),
        *_password(pool),
        *_factors(pool),
        *_recovery(pool),
        *_sessions(pool),
    ]


def _pool_finding(pool: Pool, name: str, what: str, source: str, *documents: Mapping[str, Any]) -> Finding:
    fix = _applied(pool.id, *documents)
    return Finding("pools", name, ADVICE, what, fix, source, pool.id, pool.name, documents=documents)


def _applied(pool_id: str, *documents: Mapping[str, Any]) -> str:
    """JSON is YAML, and fits into a line."""
    told = "; then with ".join(orjson.dumps(document).decode() for document in documents)
    return f"cognate pool apply {pool_id} FILE, with {told}"


def _triggers(pool: Pool) -> Iterator[Finding]:
    asked = [trigger for trigger in TRIGGERS if unbuilt.has_trigger(pool, trigger)]
    if asked:
        names = ", ".join(dict.fromkeys(TRIGGERS[trigger] for trigger in asked))
        what = f"This version runs no functions of Lambda, and refuses what these would act on: {names}"
        document = {"Pool": {"LambdaConfig": None}}
        fix = _applied(pool.id, document)
        yield Finding("pools", "triggers", PROBLEM, f"{what}.", fix, "", pool.id, pool.name, documents=(document,))


def _add_ons(pool: Pool) -> Iterator[Finding]:
    mode = (pool.settings.get("user_pool_add_ons") or {}).get("advanced_security_mode", "OFF")
    if mode != "OFF":
        what = f"Threat protection is {mode}, which is stored, and nothing acts on it (docs/cognito.md)."
        document = {"Pool": {"UserPoolAddOns": {"AdvancedSecurityMode": "OFF"}}}
        yield _pool_finding(pool, "AdvancedSecurityMode", what, "", document)


def _own(pool: Pool) -> Iterator[Finding]:
    """What the preset `recommended` sets."""
    settings, recommended = own_settings.of(pool), own_settings.PRESETS["recommended"]
    if not settings["end_sessions_with_password"]:
        what = "A new password leaves the sessions of the old one alive, also those of whoever stole it."
        document = {"Cognate": {"EndSessionsWithPassword": True}}
        yield _pool_finding(pool, "EndSessionsWithPassword", what, f"{ASVS}, 7.4.3", document)
    minutes = recommended["recent_sign_in_minutes"]
    if not 0 < settings["recent_sign_in_minutes"] <= minutes:
        what = "An access token alone changes factors and addresses, however long ago its user signed in."
        if settings["recent_sign_in_minutes"]:
            what = f"A sign-in of {settings['recent_sign_in_minutes']} minutes ago still changes factors and addresses."
        document = {"Cognate": {"RecentSignInMinutes": minutes}}
        yield _pool_finding(pool, "RecentSignInMinutes", what, f"{ASVS}, 7.5.1", document)


def _password(pool: Pool) -> Iterator[Finding]:
    if "PASSWORD" not in pool.first_factors:
        return
    policy = pool.password_policy
    least = WITH_MFA if pool.mfa == "ON" else ALONE
    present = {
        "MinimumLength": policy.minimum_length,
        "RequireUppercase": policy.uppercase,
        "RequireLowercase": policy.lowercase,
        "RequireNumbers": policy.numbers,
        "RequireSymbols": policy.symbols,
    }
    if policy.minimum_length < least:
        why = "always comes with a second factor" if pool.mfa == "ON" else "may be the only factor"
        what = f"Passwords may have {policy.minimum_length} characters; {least} is the least for one that {why}."
        document = {"Pool": {"Policies": {"PasswordPolicy": {"MinimumLength": least}}}}
        yield _pool_finding(pool, "MinimumLength", what, f"{NIST}, 3.1.1.2", document)
    rules = [name for name, on in present.items() if on is True]
    if rules:
        what = f"Rules of composition make passwords no better, and hard to choose: {', '.join(rules)}."
        document = {"Pool": {"Policies": {"PasswordPolicy": dict.fromkeys(rules, False)}}}
        yield _pool_finding(pool, "composition", what, f"{NIST}, 3.1.1.2", document)
    if policy.temporary_validity > LONGEST_INVITATION:
        days = LONGEST_INVITATION.days
        what = f"Temporary passwords are good for {_told(policy.temporary_validity)}; {days} days are enough."
        document = {"Pool": {"Policies": {"PasswordPolicy": {"TemporaryPasswordValidityDays": days}}}}
        yield _pool_finding(pool, "TemporaryPasswordValidityDays", what, f"{ASVS}, 6.4.1", document)


def _factors(pool: Pool) -> Iterator[Finding]:
    app = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    if pool.mfa == "OFF":
        what = "Nobody can have a second factor."
        document: dict[str, Any] = {"Mfa": {"MfaConfiguration": "OPTIONAL", **app}}
        yield _pool_finding(pool, "MfaConfiguration", what, f"{NIST}, 2.2; {ASVS}, 6.3.3", document)
    elif "SOFTWARE_TOKEN_MFA" not in pool.second_factors:
        what = f"Second factors are messages only ({', '.join(pool.second_factors)}), which can be intercepted."
        document = {"Mfa": app}
        yield _pool_finding(pool, "SoftwareTokenMfaConfiguration", what, f"{NIST}, 3.1.3.3; {ASVS}, 6.6.1", document)
    if "WEB_AUTHN" not in pool.first_factors:
        what = "Nobody can have a passkey: there is no factor that a fake page cannot pass on."
        factors = [*pool.first_factors, "WEB_AUTHN"]
        documents: list[dict[str, Any]] = []
        if pool.mfa == "ON" and not pool.passkeys_count_twice:  # it would be passed by, and so is refused
            twice = {"FactorConfiguration": "MULTI_FACTOR_WITH_USER_VERIFICATION"}
            documents = [{"Mfa": {"WebAuthnConfiguration": twice}}]
        documents.append({"Pool": {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": factors}}}})
        yield _pool_finding(pool, "WEB_AUTHN", what, f"{NIST}, 2.2.2", *documents)


def _recovery(pool: Pool) -> Iterator[Finding]:
    if "email" not in pool.recovery:
        what = "Who has forgotten the password cannot recover the account by themselves."
        if pool.recovery:
            what = "Who has forgotten the password needs an SMS, and this version sends none."
        document: dict[str, Any] = {
            "Pool": {"AccountRecoverySetting": {"RecoveryMechanisms": [{"Name": "verified_email", "Priority": 1}]}}
        }
        yield _pool_finding(pool, "AccountRecoverySetting", what, f"{ASVS}, 6.4.3", document)
    if "email" not in pool.auto_verified and pool.open_to_sign_up:
        what = "Whoever signs up proves no address, so that none can be told of, or recover, anything."
        document = {"Pool": {"AutoVerifiedAttributes": sorted({*pool.auto_verified, "email"})}}
        yield _pool_finding(pool, "AutoVerifiedAttributes", what, f"{ASVS}, 6.3.7", document)


def _sessions(pool: Pool) -> Iterator[Finding]:
    if pool.most_sessions is None:
        what = "Sessions are not tracked: users can neither list theirs nor end one."
        document = {"SessionConfiguration": {"UserSessionTracking": "ENABLED"}}
        yield _pool_finding(pool, "SessionConfiguration", what, f"{ASVS}, 7.5.2", document)


# -- a client --------------------------------------------------------------------------------------------------


def of_client(client: Client) -> list[Finding]:
    return [*_users_hidden(client), *_oauth(client), *_tokens(client), *_redirects(client)]


def _client_finding(client: Client, name: str, what: str, settings: Mapping[str, Any], source: str) -> Finding:
    document = {"Clients": [{"ClientId": client.id, **settings}]}
    return _about_client(client, name, what, _applied(client.pool_id, document), source, (document,))


def _about_client(
    client: Client, name: str, what: str, fix: str, source: str, documents: tuple[Mapping[str, Any], ...] = ()
) -> Finding:
    pool = client.pool
    return Finding("pools", name, ADVICE, what, fix, source, pool.id, pool.name, client.id, client.name, documents)


def _users_hidden(client: Client) -> Iterator[Finding]:
    signs_in = client.auth_flows - {"ALLOW_REFRESH_TOKEN_AUTH"} or client.oauth_flows & {"code", "implicit"}
    if signs_in and not client.hides_users:
        what = "Strangers learn from it which users exist."
        settings = {"PreventUserExistenceErrors": "ENABLED"}
        yield _client_finding(client, "PreventUserExistenceErrors", what, settings, f"{ASVS}, 6.3.8")


def _oauth(client: Client) -> Iterator[Finding]:
    if "implicit" in client.oauth_flows:
        what = "The implicit flow puts tokens into addresses, which browsers keep; this version refuses it."
        flows = sorted({*client.oauth_flows - {"implicit"}, "code"})
        yield _client_finding(client, "implicit", what, {"AllowedOAuthFlows": flows}, f"{BCP}, 2.1.2")
    if "code" in client.oauth_flows and not client.requires_pkce:
        what = "It may ask for a code without PKCE: a code that is stolen or slipped in can be used."
        yield _client_finding(client, "RequirePKCE", what, {"RequirePKCE": True}, f"{BCP}, 2.1.1")


def _tokens(client: Client) -> Iterator[Finding]:
    refreshes = client.rotates or client.auth_flows & {"ALLOW_REFRESH_TOKEN_AUTH"} or "code" in client.oauth_flows
    if refreshes and not client.confidential and not client.rotates:
        what = "It has no secret, and its refresh tokens do not rotate: a stolen one goes unnoticed for its whole life."
        settings: dict[str, Any] = {"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 30}}
        flows = client.settings.get("explicit_auth_flows") or []
        if "ALLOW_REFRESH_TOKEN_AUTH" in flows:
            settings["ExplicitAuthFlows"] = [flow for flow in flows if flow != "ALLOW_REFRESH_TOKEN_AUTH"]
        yield _client_finding(client, "RefreshTokenRotation", what, settings, f"{BCP}, 2.2.2")
    if not client.revocable:
        what = "Its tokens cannot be revoked."
        yield _client_finding(client, "EnableTokenRevocation", what, {"EnableTokenRevocation": True}, f"{ASVS}, 10.4.9")
    for member, name, life, longest in (
        ("access", "AccessTokenValidity", client.access_validity, LONGEST_ACCESS),
        ("id", "IdTokenValidity", client.id_validity, LONGEST_ACCESS),
        ("refresh", "RefreshTokenValidity", client.refresh_validity, LONGEST_REFRESH),
    ):
        if life > longest:
            what = f"Its {member} tokens live for {_told(life)}; {_told(longest)} is the most that is recommended."
            unit, number = ("days", longest.days) if longest.days else ("hours", longest.seconds // 3600)
            settings = {name: number, "TokenValidityUnits": {f"{member.capitalize()}Token": unit}}
            yield _client_finding(client, name, what, settings, f"{BCP}, 2.2.2; {ASVS}, 10.4.8")


def _told(life: timedelta) -> str:
    if life.days:
        return f"{life / timedelta(days=1):g} day{'s' * (life != timedelta(days=1))}"
    return f"{life / timedelta(hours=1):g} hour{'s' * (life != timedelta(hours=1))}"


def _redirects(client: Client) -> Iterator[Finding]:
    for member, urls in (("CallbackURLs", client.callback_urls), ("LogoutURLs", client.logout_urls)):
        # With a secret it is no application on somebody's own machine, for which loopback is meant (RFC 8252, 7.3).
        plain = [url for url in urls if _plain(url, loopback_too=client.confidential)]
        if plain:
            what = f"What it is sent by http can be read and changed on the way: {', '.join(plain)}."
            fix = f"cognate pool apply {client.pool_id} FILE, with https addresses in {member}"
            yield _about_client(client, member, what, fix, f"{BCP}, 2.6")


def _plain(url: str, *, loopback_too: bool) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and (loopback_too or parts.hostname not in ("localhost", "127.0.0.1", "::1"))
