"""The door with pages for people: sign in, sign up, confirm, recover a password.

`page` is what all of them share: which client is asking, the form, CSRF, refusals put on the form. `errors` turns
refusals into sentences, `words` names fields and rules, `memory` keeps what a visitor has said already, `theme` draws.
Beside them the status page at `/` and, in development mode only, the outbox. What happens is in `accounts` and
`signin`; the way back to the application is `oauth.authorize`, with the query as it came.
"""

from __future__ import annotations

from flask import Flask

from app import error_page
from app.env import Env
from app.hosted import errors, logo, mfa, outbox, passwords, proof, sign_in, sign_out, sign_up, status, theme
from app.hosted.page import bp

__all__ = ["logo", "mfa", "open_on", "passwords", "proof", "sign_in", "sign_out", "sign_up", "status"]


def open_on(app: Flask, env: Env) -> None:
    """Register the pages. Raises SettingsError for a theme that does not exist."""
    theme.install(app, env.settings)
    # The token of a form lives as long as the cookie that it belongs to: nobody has to be quick.
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    errors.handle_on(app)
    error_page.drawn_by(app, errors.page, proof.demanded)
    app.register_blueprint(bp)
    if env.settings.development:
        app.register_blueprint(outbox.bp)
