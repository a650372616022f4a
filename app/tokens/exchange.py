"""Token exchange (RFC 8693; reference: 6.7): a token made from one that its holder already has, for another client.

With an actor token it is a delegation, and the new token says who acts (`act`); without, an impersonation, and it does
not. A client needs the permission for either. What comes out is never more than what went in: no scope that the
subject's token lacks, no longer life, the audience that it had or one where it had none, and the same session, so that
whatever ends that ends this too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from app import errors, metrics
from app.env import Env
from app.models import Client
from app.policy import unbuilt
from app.tokens import claims, keys, resources, verify

IMPERSONATION = "ALLOW_TOKEN_EXCHANGE_IMPERSONATION"
DELEGATION = "ALLOW_TOKEN_EXCHANGE_DELEGATION"
KINDS = ("access", "id")
"""Of tokens that are taken and given, by their `token_use`."""
LONGEST_CHAIN = 8
"""Actors in one token; each exchange can add one, and tokens travel in headers."""


@dataclass(frozen=True)
class Presented:
    """A token that was handed in. `kind` is one of KINDS, or a word for what is not taken."""

    token: str
    kind: str


@dataclass(frozen=True)
class Derived:
    """What is handed out; `expires_in` in seconds."""

    token: str
    kind: str
    expires_in: int
    scope: str


def derive(
    env: Env,
    client: Client,
    *,
    subject: Presented,
    actor: Presented | None,
    wanted: str,
    scopes: Collection[str],
    existing: Collection[str],
    audience: str | None,
    resource: str | None,
    oauth: bool,
) -> Derived:
    """A token of the kind `wanted`, from `subject`, for this client. `scopes` are those asked for, none for all that
    the subject's token has; `existing` are those that the client may have; `audience` and `resource` are two words for
    a resource server. No row is written.

    Raises errors.InvalidParameter for what is not allowed or cannot be had, UnknownResource, InvalidTarget,
    TokenRefused, UserNotFound and UserDisabled where a token is no live token of this pool, UnexpectedLambda.
    """
    if not allowed(client, delegation=actor is not None):
        raise errors.InvalidParameter("Auth flow not enabled for this client")
    unbuilt.demand_no_trigger(client.pool, *unbuilt.TOKEN_TRIGGERS)
    for presented in (subject, *([actor] if actor else [])):
        if presented.kind not in KINDS:
            raise errors.InvalidParameter("Only access and ID tokens of the user pool can be exchanged.")
    if wanted not in KINDS:
        raise errors.InvalidParameter("The token that is asked for must be an access or an ID token.")
    if audience is not None and resource is not None:
        raise errors.InvalidParameter("Ask for an audience or for a resource, not for both.")
    if wanted == "id" and (audience is not None or resource is not None):
        # Its audience is whom it signs the user in to. One client must not get hold of what another would take for its
        # own user's sign-in.
        raise errors.InvalidParameter("An ID token is made out to the client that asks for it.")
    defined = resources.of(env, client.pool)
    named = audience or resource
    if named is not None:
        defined.named(named)  # before anything is said about the tokens
    held = verify.of_a_person(env, subject.token, use=subject.kind, pool=client.pool)
    # An ID token of a sign-in has no scope of its own: it stands for the session that it came with. One that was made
    # here has the scopes of what it was made from, or they could be had back by way of it.
    theirs = str(held.claims.get("scope", held.session.scope)).split()
    # Likewise its resource. (The `aud` of an ID token is a client, and says nothing of where a token is good.)
    before = held.claims.get("aud") if subject.kind == "access" else held.session.audience
    made_out_to = defined.narrowed(before, named)
    if wanted == "id" and subject.kind == "access" and made_out_to is not None:
        # Whoever runs the resource would turn what it was called with into a sign-in of its caller's user.
        raise errors.InvalidTarget("A token that is made out to a resource gives no ID token.")
    granted = [scope for scope in scopes or theirs if scope in theirs and scope in existing]
    if scopes and not granted:
        raise errors.InvalidParameter(
            "None of the scopes can be granted: the subject's token or the client lacks them."
        )
    scope = " ".join(granted)
    if wanted == "access" and scope:
        scope = resources.limited(scope, made_out_to)
    made = _claims(env, client, held, wanted, theirs, scope, made_out_to, oauth)
    made["exp"] = min(made["exp"], held.claims["exp"])
    acting = _acting(env, client, held.claims, actor)
    if acting is not None:
        made["act"] = acting
    now = env.now()
    # Verifiers that know no difference between the keys of a pool are told that it is an access token.
    typ = claims.ACCESS_TYPE if wanted == "access" else None
    token = keys.of(env, client.pool).signer(wanted, now).sign(made, typ=typ)
    metrics.TOKENS.add("derived")
    return Derived(token, wanted, made["exp"] - claims.seconds(now), scope)


def allowed(client: Client, *, delegation: bool) -> bool:
    """Whether the client may do this kind of exchange."""
    return (DELEGATION if delegation else IMPERSONATION) in client.auth_flows


def _claims(
    env: Env,
    client: Client,
    held: verify.Verified,
    wanted: str,
    theirs: list[str],
    scope: str,
    audience: str | None,
    oauth: bool,
) -> dict[str, Any]:
    common: dict[str, Any] = {
        "iss": claims.issuer(env.settings, client.pool),
        "client": client,
        "user": held.user,
        "session": held.session,
        "jti": env.random.uuid(),
        "now": env.now(),
    }
    if wanted == "access":
        return claims.of_access(**common, scope=scope, audience=audience, oauth=oauth)
    made = claims.of_id(**common, scopes=_attributes_for(theirs), at_hash=None, nonce=None)
    return {**made, "scope": scope}


def _attributes_for(theirs: list[str]) -> list[str] | None:
    """The scopes that an ID token's attributes are chosen by; None for all. Whoever was given neither may know nothing
    of the user but what an access token tells. Raises errors.InvalidParameter."""
    if claims.API_SCOPE in theirs:
        return None
    if "openid" not in theirs:
        raise errors.InvalidParameter("The subject's token has no scope for an ID token.")
    return theirs


def _acting(env: Env, client: Client, subject: dict[str, Any], actor: Presented | None) -> dict[str, Any] | None:
    """The `act` claim (RFC 8693, 4.1): who acts now, and inside it those before him. An exchange without an actor keeps
    the chain as it is: nobody washes off who has acted by asking once more."""
    before = subject.get("act")
    if actor is None:
        return before
    said = _actor(env, client, actor)
    if "act" in said:
        # It was derived itself: whose hand it is in is not its subject's.
        raise errors.TokenRefused("The actor's token must not be a delegated one.")
    acting = {"sub": said["sub"], **({"act": before} if before else {})}
    length, link = 0, dict(acting)
    while link:
        length, link = length + 1, link.get("act") or {}
    if length > LONGEST_CHAIN:
        raise errors.InvalidParameter(f"A token can be delegated {LONGEST_CHAIN} times.")
    return acting


def _actor(env: Env, client: Client, actor: Presented) -> dict[str, Any]:
    """Claims of the actor's token: a client's own, or a person's. One that is made out to a resource is in the hands of
    whoever runs that, who is not to act as its subject."""
    said = None
    if actor.kind == "access":
        said = verify.of_a_machine(env, actor.token, pool=client.pool)
    if said is None:
        said = verify.of_a_person(env, actor.token, use=actor.kind, pool=client.pool).claims
    if actor.kind == "access" and "aud" in said:
        raise errors.TokenRefused("The actor's token must not be made out to a resource.")
    return said
