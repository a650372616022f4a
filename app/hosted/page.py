"""What all pages have in common, once: who asks for one, the form, its protection, the way out.

which client?                            unknown, or leading elsewhere -> the error page
GET                                      the form
POST from another site                   -> the error page
POST, too many of them              -> the form again, and when to send it
POST without a valid token, or wanting   -> the form again, with sentences; only the password is gone
POST                                     the view; what it refuses -> the form again, else onward
    to a sign-in that is over            -> the sign-in page; when it has ended well, the application
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from app import error_page, inspection, web
from app.env import Env
from app.errors import Forbidden, Refusal, SessionExpired, SessionInvalid, SessionUsed, UnknownClient
from app.facts import current as current_facts
from app.hosted import errors, memory, theme
from app.hosted.errors import Stop
from app.hosted.forms import PlainForm
from app.models import Client
from app.pools import find
from app.throttling import callers
from app.throttling.categories import ANSWERS

bp = Blueprint("hosted", __name__)
bp.register_error_handler(Stop, errors.stopped)
bp.register_error_handler(Refusal, errors.refused)
bp.register_error_handler(Forbidden, error_page.denied)
bp.add_url_rule("/static/<version>/<path:name>", "static", theme.static)

OF_NO_POOL = ("hosted.static", "hosted.status", "hosted.error")


@bp.before_request
def inspect() -> None:
    """Refuse what the rules of the pool refuse (app.inspection)."""
    asked = web.this_request()
    if asked.endpoint not in OF_NO_POOL:
        inspection.at_a_page(asked, answering=asked.endpoint == "hosted.proof")


LARGEST = 64 * 1024
"""Bytes of a form; ours have a dozen short fields."""

F = TypeVar("F", bound=PlainForm)


def page(
    template: str,
    make: Callable[[Client], F],
    facts: Callable[[Client], Mapping[str, object]] | None = None,
    *,
    category: str = ANSWERS,
    for_any_client: bool = False,
) -> Callable[[Callable[[Env, Client, F], Response]], Callable[[], Response]]:
    """A page with one form. `make` makes the form, `facts` says what else the template shows; the view gets a form
    whose shape is right, does one thing, and says where to go. Forms that are sent are counted in `category`. A page
    `for_any_client` is there for clients without the code grant too: one that leads to no sign-in."""

    def decorate(view: Callable[[Env, Client, F], Response]) -> Callable[[], Response]:
        @wraps(view)
        def visited() -> Response:
            request.max_content_length = LARGEST
            env = web.current_env()
            client = asking(env, for_any_client=for_any_client)
            form = make(client)
            said, status, retry_after = memory.said(client.pool), 200, None
            if request.method == "POST":
                refuse_other_sites(env)
                problem, status = None, 400
                try:
                    _count(env, category, client, form)
                    if form.validate():
                        return _protected(client, view(env, client, form))
                except SessionUsed:
                    # As a rule by the same person, who pressed twice; or they are sent to sign in from there.
                    return _protected(client, see("oauth.authorize"))
                except (SessionExpired, SessionInvalid):
                    return _protected(client, _over(client))
                except Refusal as refusal:
                    current_facts().outcome = type(refusal).__name__
                    problem, status = errors.tell(refusal, form, client.pool), errors.status_of(refusal)
                    retry_after = refusal.retry_after
                said = {"problem": problem} if problem else {}
            shown = {"application": client.name, "form": form, **said, **(facts(client) if facts else {})}
            response = Response(theme.current().draw(template, shown), status, mimetype="text/html")
            if retry_after is not None:
                response.headers["Retry-After"] = str(retry_after)
            return _protected(client, response)

        return visited

    return decorate


def asking(env: Env, *, for_any_client: bool) -> Client:
    """The client that the query names. One that is unknown, or would be answered elsewhere than it has registered,
    gets no page, and nobody is sent anywhere (RFC 6749, 4.1.2.1; requirements: 10)."""
    client_id, pool = _once("client_id") or "", web.current_pool()
    try:
        client = find.client(env, client_id, pool)
    except UnknownClient:
        raise Stop("unknown_client", error_page.unknown_client(env, pool, client_id)) from None
    if "code" not in client.oauth_flows and not for_any_client:
        raise Stop("no_pages")
    current_facts().client = client.id
    redirect_uri = _once("redirect_uri")
    if redirect_uri is not None and not client.redirects_to(redirect_uri):
        raise Stop("redirect_mismatch", error_page.redirect_uri(client, redirect_uri))
    return client


def _once(name: str) -> str | None:
    given = request.args.getlist(name)
    if len(given) > 1:
        raise Stop("invalid_request")
    return given[0] if given else None


def refuse_other_sites(env: Env) -> None:
    """Refuse a form that another site sent, beside its token, which such a site cannot have (requirements: 69).

    Our own pages send `Origin: null`, because of their Referrer-Policy, and so may a stranger's; then Sec-Fetch-Site
    tells, and where a browser sends neither, the token is what protects.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    ours = f"{urlsplit(env.settings.base_url).scheme}://{request.host}"
    if site not in ("same-origin", "none") or request.headers.get("Origin", ours) not in (ours, "null"):
        raise Stop("other_site")


def _count(env: Env, category: str, client: Client, form: PlainForm) -> None:
    """Raises errors.RateLimited."""
    name = form["username"].data if "username" in form else None
    callers.check(env, category, web.ip(), pool=client.pool, client=client, name=name)


def see(endpoint: str) -> Response:
    """Go to another page, with the query as it came. 303: the form must not be sent there too (requirements: 11)."""
    return Response(status=303, headers={"Location": web.carry(endpoint)})


def _over(client: Client) -> Response:
    memory.keep(client.pool, attempt=None, problem="That took too long. Please sign in once more.")
    return see("hosted.sign_in")


def _protected(client: Client, response: Response) -> Response:
    """The answer to a form may lead on to the client: there, or wherever /oauth2/authorize can send the browser."""
    redirect_uri = request.args.get("redirect_uri")
    targets = [redirect_uri] if redirect_uri else client.callback_urls
    return web.protect_page(response, form_targets=[web.origin_of_url(url) for url in targets])
