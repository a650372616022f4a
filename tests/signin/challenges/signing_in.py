"""Steps of a sign-in, as the stories of the challenges tell them."""

from typing import Any

from app.env import Env, Origin
from app.models import Client
from app.signin import flow
from app.signin.state import Ask, Granted
from tests.build import PASSWORD


def begin(env: Env, client: Client, name: str = "alice", **given: str) -> Any:
    """With the right password, unless another is given."""
    given = {"USERNAME": name, "PASSWORD": PASSWORD, **given}
    return flow.begin(env, client, flow="USER_PASSWORD_AUTH", given=given, origin=Origin())


def asked(env: Env, client: Client, name: str = "alice") -> Ask:
    """What is asked after the password."""
    step = begin(env, client, name)
    assert isinstance(step, Ask)
    return step


def answer(env: Env, client: Client, step: Ask, *, challenge: str | None = None, **given: str) -> Any:
    return flow.answer(
        env, client, challenge=challenge or step.challenge, session=step.handle, given=given, origin=Origin()
    )


def signed_in(step: Any) -> bool:
    return isinstance(step, Granted)
