"""The door that speaks Amazon Cognito's JSON API: `POST /`, one operation per request (reference: 1).

`dispatch` takes a request through the steps, `registry` knows the operations from the published model, `shapes` checks
what came in, `signature` and `caller` find out who is asking, `wire` translates, `operations` has one function per
operation. PascalCase words live here and nowhere else; what an operation does is in `accounts`, `pools`, `signin` and
`tokens`.
"""

from flask import Flask

from app.api import dispatch, operations
from app.env import Env


def open_on(app: Flask, env: Env) -> None:
    """Register the routes. Browsers ask by OPTIONS before they call."""
    operations.load()
    app.add_url_rule("/", "api", dispatch.serve, methods=["POST"], provide_automatic_options=False)
    app.add_url_rule("/", "api_preflight", dispatch.preflight, methods=["OPTIONS"], provide_automatic_options=False)
