"""What a door makes of a granted sign-in: tokens. (A browser session is made in `browser`.)"""

from __future__ import annotations

from dataclasses import replace

from app.accounts import devices
from app.env import Env
from app.signin import flow, step_up
from app.signin.challenges import device_password_verifier
from app.signin.state import Granted
from app.tokens import issue
from app.tokens.claims import API_SCOPE


def tokens(env: Env, granted: Granted) -> issue.Tokens:
    """The three tokens of a sign-in by API, and where devices are tracked a key for one that has none. The one write of
    the request.

    A sign-in that counts what was met before gets no key: a device is trusted for what is met now, and a session does
    not say which is which. Raises what `flow.settle` does; errors.ResourceNotFound for a device that was forgotten.
    """
    client, sign_in = granted.sign_in.client, granted.sign_in
    proven = _proven_device(granted)
    new = proven is None and flow.tracks_devices(sign_in) and not step_up.credit(sign_in)
    offered = devices.new_key(env) if new else None
    with env.transaction():
        user = flow.settle(env, granted)
        if proven is not None and granted.sign_in.proven[-1] != device_password_verifier.NAME:
            devices.demand(env, user, proven)  # it proved itself some steps ago
        opened = issue.open_session(
            env,
            client,
            user,
            scope=API_SCOPE,
            auth_time=granted.auth_time,
            methods=granted.proven,
            origin=sign_in.origin,
            acr_asked=bool(sign_in.notes.get(step_up.ACR_ASKED)),
            device_key=proven or offered,
        )
    signed = issue.signed(env, client, user, opened.session, oauth=False, refresh=opened.refresh)
    if offered is None:
        return signed
    return replace(signed, new_device=issue.NewDevice(offered, devices.group_key(env, client.pool, user)))


def _proven_device(granted: Granted) -> str | None:
    """The key of the device that has shown to be what it says."""
    device = granted.sign_in.device
    return device.key if device is not None and device_password_verifier.NAME in granted.proven else None
