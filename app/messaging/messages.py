"""Which message in which words: the pool's templates, or Cognito's defaults (reference: 2.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.env import Env, Message
from app.models import Pool, User

CODE = "{####}"
USERNAME = "{username}"
CHANNEL = {"email": "email", "phone_number": "sms"}


@dataclass(frozen=True)
class Delivery:
    """Where a code went: the address is masked, so that it can be told to whoever asked."""

    attribute: str
    medium: str
    """`EMAIL` or `SMS`."""
    destination: str


def delivery(attribute: str, address: str) -> Delivery:
    return Delivery(attribute, "EMAIL" if attribute == "email" else "SMS", mask(attribute, address))


def mask(attribute: str, address: str) -> str:
    """`t***@e***`, `+*******9934`."""
    if attribute == "email":
        local, _, domain = address.rpartition("@")
        return f"{local[:1]}***@{domain[:1]}***"
    return f"+*******{address[-4:]}"


def verification(pool: Pool, attribute: str, address: str, code: str, *, purpose: str) -> Message:
    """The code that proves an address, or that a password may be reset."""
    given = pool.settings.get("verification_message_template", {})
    if attribute == "email":
        subject = given.get("email_subject") or "Your verification code"
        body = given.get("email_message") or f"Your verification code is {CODE}"
    else:
        subject, body = "", given.get("sms_message") or f"Your verification code is {CODE}. "
    return Message(
        to=address,
        channel=CHANNEL[attribute],
        purpose=purpose,
        subject=subject,
        body=body.replace(CODE, code),
        code=code,
        pool_id=pool.id,
    )


def invitation(pool: Pool, attribute: str, user: User, name: str, password: str) -> Message:
    """A temporary password for someone whom an administrator signed up."""
    given = pool.settings["admin_create_user_config"].get("invite_message_template", {})
    default = f"Your username is {USERNAME} and temporary password is {CODE}."
    if attribute == "email":
        subject = given.get("email_subject") or "Your temporary password"
        body = given.get("email_message") or default
    else:
        subject, body = "", given.get("sms_message") or default
    return Message(
        to=getattr(user, attribute),
        channel=CHANNEL[attribute],
        purpose="invitation",
        subject=subject,
        body=body.replace(CODE, password).replace(USERNAME, name),
        code=password,
        pool_id=pool.id,
    )


def sending(env: Env, message: Message) -> Callable[[], None]:
    """The act of sending, for `env.after_commit`."""
    sender = env.mail if message.channel == "email" else env.sms
    return lambda: sender.send(message)
