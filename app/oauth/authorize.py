"""The authorization endpoint (RFC 6749, 4.1.1; OpenID Connect Core 1.0, 3.1.2): checks in order, then an answer.

Authlib's own is not used: it rewrites the registered query, passes over max_age, response modes and unknown scopes,
accepts PKCE without a hash, and leaves `iss` out of refusals (RFC 9207).

    who asks, and where may the answer go?   no -> the error page; a redirect would be an open redirector
    is the request one that we can serve?    no -> to the client, as error
    is this browser signed in, recently and  no -> to the sign-in page, whole query kept; it leads back here
    as surely as is asked for?
    a code                                      -> to the client
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Response, abort, request, url_for

from app import error_page, facts, web
from app.env import Env
from app.errors import Refusal, UnknownPool
from app.models import Pool
from app.oauth import again, client, errors, query, redirects
from app.oauth.client import OAuthClient
from app.oauth.redirects import Pairs, Unanswerable
from app.signin import browser, step_up
from app.throttling import callers
from app.throttling.categories import AUTHORIZATION
from app.tokens import claims, codes, resources, verify

log = logging.getLogger(__name__)

ONCE = (
    "acr_values claims client_id code_challenge code_challenge_method display id_token_hint identity_provider "
    "idp_identifier lang login_hint max_age nonce prompt redirect_uri request request_uri response_mode response_type "
    "scope state ui_locales"
).split()
"""Parameters that mean something here; others are passed over, however often they come (RFC 6749, 3.1)."""
PROMPTS = ("none", "login", "select_account", "consent")
DIRECTORY = "COGNITO"
"""The provider that a pool itself is."""
SOCIAL = ("Facebook", "Google", "LoginWithAmazon", "SignInWithApple")
LONGEST_NONCE = 2048

S256 = re.compile(r"[A-Za-z0-9_-]{43}")
SECONDS = re.compile(r"[0-9]{1,9}")


class Refused(Exception):
    """To be told to the client, at its redirect URI."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass
class Asked:
    """A request, and what the checks found in it. Bytes that are not UTF-8 are kept as surrogates, so that `state`
    goes back as it came."""

    env: Env
    pool: Pool
    pairs: Pairs
    client: OAuthClient = field(init=False)
    redirect_uri: str = field(init=False)
    """The one that was stated, or else the client's default."""
    scope: str = field(init=False)
    resource: str | None = field(init=False, default=None)
    """The resource server that the tokens are for."""
    prompts: frozenset[str] = field(init=False)
    hinted: str | None = field(init=False, default=None)
    """The user that the client expects (`id_token_hint`), by `sub`."""
    max_age: int | None = field(init=False)

    def get(self, name: str) -> str | None:
        """A parameter; one without a value counts as left out (RFC 6749, 3.1)."""
        return next((value for key, value in self.pairs if key == name and value), None)

    def count(self, name: str) -> int:
        return sum(key == name for key, _ in self.pairs)


def authorize() -> Response:
    """GET answers; POST (OpenID Connect Core, 3.1.2.1) becomes a GET, so that there is one way through, and so that
    the browser's session, which is not sent with a POST from another site, is there."""
    try:
        pool = web.current_pool()
    except UnknownPool:
        abort(404)
    env = web.current_env()
    callers.check(env, AUTHORIZATION, web.ip(), pool=pool)
    try:
        if request.method == "POST":
            return redirects.to(redirects.with_query(url_for("oauth.authorize"), query.posted()), 303)
        asked = Asked(env, pool, query.parameters(request.query_string))
        for check in WHO:
            check(asked)
    except Unanswerable as reason:
        return redirects.to_error_page(reason)
    try:
        for check in WHAT:
            check(asked)
        return _answered(asked)
    except Refused as refused:
        return _to_client(asked, [("error", refused.error), ("error_description", refused.description)])
    except Refusal as refusal:
        word, description, _ = errors.told(refusal)
        return _to_client(asked, [("error", word), ("error_description", description)])
    except Exception:
        log.exception("request %s failed", web.request_id())
        description = f"The server failed; request {web.request_id()}."
        return _to_client(asked, [("error", "server_error"), ("error_description", description)])


# -- who asks, and where may the answer go? --------------------------------------------------------------------


def check_client(asked: Asked) -> None:
    if asked.count("client_id") > 1:
        raise Unanswerable("invalid_request")
    client_id = asked.get("client_id") or ""
    found = client.known(asked.env, asked.pool, client_id)
    if found is None:
        raise Unanswerable("unknown_client", error_page.unknown_client(asked.env, asked.pool, client_id))
    asked.client = found


def check_redirect_uri(asked: Asked) -> None:
    """The client's DefaultRedirectURI stands in for one that is left out (reference: 7.3)."""
    redirect_uri = asked.get("redirect_uri") or asked.client.row.default_redirect_uri
    if redirect_uri is None or asked.count("redirect_uri") > 1:
        raise Unanswerable("invalid_request")
    if not asked.client.check_redirect_uri(redirect_uri):
        raise Unanswerable("redirect_mismatch", error_page.redirect_uri(asked.client.row, redirect_uri))
    asked.redirect_uri = redirect_uri


WHO: tuple[Callable[[Asked], None], ...] = (check_client, check_redirect_uri)

# -- is the request one that we can serve? ---------------------------------------------------------------------


def check_repetition(asked: Asked) -> None:
    """A parameter that two readers would read differently is where an attack hides (RFC 6749, 3.1)."""
    for name in ONCE:
        if asked.count(name) > 1:
            raise Refused("invalid_request", f"The parameter {name} is given more than once.")


def check_request_object(asked: Asked) -> None:
    """What is in a request object must not be passed over: it may be all that counts (OpenID Connect Core, 6)."""
    if asked.get("request"):
        raise Refused("request_not_supported", "Request objects are not supported.")
    if asked.get("request_uri"):
        raise Refused("request_uri_not_supported", "Request URIs are not supported.")


def check_response_type(asked: Asked) -> None:
    response_type = asked.get("response_type")
    if response_type is None:
        raise Refused("invalid_request", "The parameter response_type is missing.")
    if response_type != "code":
        raise Refused("unsupported_response_type", "The only response_type is code.")
    if not asked.client.check_response_type(response_type):
        raise Refused("unauthorized_client", "The client may not ask for codes.")


def check_identity_provider(asked: Asked) -> None:
    """The pool's own directory is the only provider. Another is refused, not passed over: the user would be asked for a
    password that this pool does not have (reference: 7.3)."""
    provider = asked.get("identity_provider")
    if provider in SOCIAL:
        raise Refused("invalid_request", f"Signing in with {provider} is not available in this version of Cognate.")
    if provider is not None and provider != DIRECTORY:
        raise Refused("invalid_request", f"The identity provider {errors.plain(provider[:64])} does not exist.")
    if asked.get("idp_identifier"):
        raise Refused("invalid_request", "No identity provider has this idp_identifier.")


def check_response_mode(asked: Asked) -> None:
    """A mode that we do not have is refused, not passed over: the client would wait elsewhere for the answer."""
    if asked.get("response_mode") not in (None, "query"):
        raise Refused("invalid_request", "The only response_mode is query.")


def check_scope(asked: Asked) -> None:
    try:
        asked.scope = asked.client.get_allowed_scope(asked.get("scope"))
    except ValueError:
        raise Refused("invalid_scope", "The client may not have this scope.") from None


def check_resource(asked: Asked) -> None:
    """RFC 8707, 2: one resource server, whose identifier becomes the `aud` of the access tokens. A resource that is not
    known is refused, not passed over: the client would hold a token that is good in more places than it thinks."""
    if asked.count("resource") > 1:
        raise Refused("invalid_target", "Tokens are made out to one resource; ask for each in a request of its own.")
    given = asked.get("resource")
    if given is not None:
        asked.resource = resources.of(asked.env, asked.pool).named(given)
        asked.scope = resources.limited(asked.scope, asked.resource)


def check_pkce(asked: Asked) -> None:
    """RFC 7636, 4.3, with S256 only: `plain`, its default, shows the verifier to whoever sees the request."""
    challenge, method = asked.get("code_challenge"), asked.get("code_challenge_method")
    if challenge is None and method is None:
        if asked.client.row.requires_pkce:
            raise Refused("invalid_request", "The client must use PKCE: code_challenge is missing.")
        return
    if method != "S256":
        raise Refused("invalid_request", "The code_challenge_method must be S256.")
    if not S256.fullmatch(challenge or ""):
        raise Refused("invalid_request", "The code_challenge is not one of S256.")


def check_nonce(asked: Asked) -> None:
    nonce = asked.get("nonce") or ""
    if len(nonce) > LONGEST_NONCE or not nonce.isprintable():
        raise Refused("invalid_request", "The nonce is too long, or not printable.")


def check_prompt(asked: Asked) -> None:
    """There is no list of accounts and no page of consent: the sign-in page stands for both, as the place where a
    person chooses who he is, and goes on to this client or does not."""
    asked.prompts = frozenset((asked.get("prompt") or "").split())
    if not asked.prompts <= set(PROMPTS):
        raise Refused("invalid_request", "The prompt is not a known one.")
    if "none" in asked.prompts and len(asked.prompts) > 1:
        raise Refused("invalid_request", "The prompt none goes with no other.")


def check_max_age(asked: Asked) -> None:
    max_age = asked.get("max_age")
    if max_age is not None and not SECONDS.fullmatch(max_age):
        raise Refused("invalid_request", "The max_age must be a number of seconds.")
    asked.max_age = int(max_age) if max_age is not None else None


def check_hint(asked: Asked) -> None:
    """The ID token of this client and this pool that names the expected user (OpenID Connect Core, 3.1.2.1)."""
    given = asked.get("id_token_hint")
    if given is None:
        return
    hint = verify.hint(asked.env, given, pool=asked.pool)
    if hint is not None and hint.client_id == asked.client.row.id:
        asked.hinted = hint.user_sub
    elif "none" in asked.prompts:
        raise Refused("login_required", "The id_token_hint is not an ID token that was issued to this client.")
    else:
        raise Refused("invalid_request", "The id_token_hint is not an ID token that was issued to this client.")


WHAT: tuple[Callable[[Asked], None], ...] = (
    check_repetition,
    check_request_object,
    check_response_type,
    check_identity_provider,
    check_response_mode,
    check_scope,
    check_resource,
    check_pkce,
    check_nonce,
    check_prompt,
    check_max_age,
    check_hint,
)

# -- is this browser signed in, recently and as surely as is asked for? --------------------------------------------


def _answered(asked: Asked) -> Response:
    signed_in = browser.recognise(asked.env, asked.pool, web.browser_token())
    if signed_in is None or not _good_enough(asked, signed_in):
        if "none" in asked.prompts:
            raise Refused("login_required", "Nobody is signed in, or another user, or not recently or surely enough.")
        return redirects.to(_sign_in_page(asked))
    if not _expected(asked, signed_in):
        # The user has just signed in, but as somebody else than the client asked for.
        raise Refused("login_required", "Another user than the one of the id_token_hint is signed in.")
    with asked.env.transaction():
        code = codes.give(
            asked.env,
            asked.client.row,
            signed_in.user.sub,
            redirect_uri=asked.redirect_uri,
            stated=asked.get("redirect_uri") is not None,
            scope=asked.scope,
            resource=asked.resource,
            nonce=asked.get("nonce"),
            code_challenge=asked.get("code_challenge"),
            auth_time=signed_in.auth_time,
            methods=signed_in.methods,
            acr_asked=asked.get("acr_values") is not None,
            browser_session_id=signed_in.session_id,
            browser=signed_in.origin,
        )
    return _to_client(asked, [("code", code)])


def _asks_again(asked: Asked) -> bool:
    return bool(asked.prompts - {"none"})


def _expected(asked: Asked, signed_in: browser.SignedIn) -> bool:
    return asked.hinted is None or asked.hinted == signed_in.user.sub


def _good_enough(asked: Asked, signed_in: browser.SignedIn) -> bool:
    """OpenID Connect Core, 3.1.2.3; and 3.1.2.1 of `acr_values`, which are voluntary: nobody is asked again for a level
    that he cannot reach (reference: 6.6)."""
    age = (asked.env.now() - signed_in.auth_time).total_seconds()
    recent = not _asks_again(asked) and (asked.max_age is None or age <= asked.max_age)
    recent = recent and browser.serves(asked.env, asked.client.row, signed_in) and _expected(asked, signed_in)
    levels = step_up.levels_named(asked.pool, asked.get("acr_values") or "")
    if recent and not step_up.falls_short(asked.env, asked.pool, signed_in.user, signed_in.methods, levels):
        return True
    return again.done(asked.env, asked.pairs, signed_in.auth_time)


def _sign_in_page(asked: Asked) -> str:
    if _asks_again(asked) or asked.max_age is not None or asked.get("acr_values") or asked.hinted:
        return redirects.with_query(url_for("hosted.sign_in"), again.demanded(asked.env, asked.pairs))
    return web.carry("hosted.sign_in")


def _to_client(asked: Asked, answer: Pairs) -> Response:
    """With `state` as it came, and `iss`, by which a client of several servers knows whose answer this is."""
    facts.current().outcome = dict(answer).get("error", "")
    # Two states cannot both be sent back.
    state = asked.get("state") if asked.count("state") == 1 else None
    pairs = [*answer, *([("state", state)] if state else []), ("iss", claims.issuer(asked.env.settings, asked.pool))]
    return redirects.to(redirects.with_query(asked.redirect_uri, pairs))
