"""Which message in which words: the pool's templates, or Cognito's defaults (reference: 2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from app import metrics
from app.env import Env, Message
from app.models import Pool, User
from app.policy import unbuilt
from app.policy.attributes import looks_like_email

CODE = "{####}"
USERNAME = "{username}"
PLACEHOLDER = re.compile(re.escape(CODE) + "|" + re.escape(USERNAME))
LINK = re.compile(r"\{##([^{}]+?)##\}")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
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


def by_link(pool: Pool) -> bool:
    """Whether mails that confirm a sign-up carry a link in place of the code."""
    template = pool.settings.get("verification_message_template", {})
    return bool(template.get("default_email_option") == "CONFIRM_WITH_LINK")


def verification(
    pool: Pool, attribute: str, address: str, code: str, *, purpose: str, link: str | None = None
) -> Message:
    """The code that proves an address, or that a password may be reset; with a `link`, that in place of the code.

    Raises errors.UnexpectedLambda (policy.unbuilt)."""
    demand_own_words(pool, attribute)
    given = pool.settings.get("verification_message_template", {})
    if attribute == "email" and link is not None:
        subject = given.get("email_subject_by_link") or "Your verification link"
        body = given.get("email_message_by_link") or (
            "Please click the link below to verify your email address. {##Verify Email##}"
        )
        html = _is_html(body)
        body = _linked(body, link, html=html)
    elif attribute == "email":
        subject = given.get("email_subject") or "Your verification code"
        body = given.get("email_message") or f"Your verification code is {CODE}"
        html = _is_html(body)
    else:
        subject, body = "", given.get("sms_message") or f"Your verification code is {CODE}. "
        html = False
    return _message(
        pool,
        attribute,
        to=address,
        purpose=purpose,
        subject=subject,
        body=body.replace(CODE, code),
        code=code,
        link=link,
        html=html,
    )


def sign_in_code(pool: Pool, attribute: str, address: str, code: str) -> Message:
    """The code that signs in, alone or after a password (SmsAuthenticationMessage, EmailMfaConfiguration).

    Raises errors.UnexpectedLambda (policy.unbuilt)."""
    demand_own_words(pool, attribute)
    if attribute == "email":
        given = pool.settings.get("email_mfa_configuration") or {}
        subject = given.get("subject") or "Your authentication code"
        body = given.get("message") or f"Your authentication code is {CODE}"
        html = _is_html(body)
    else:
        subject = ""
        body = pool.settings.get("sms_authentication_message") or f"Your authentication code is {CODE}. "
        html = False
    return _message(
        pool,
        attribute,
        to=address,
        purpose="sign_in",
        subject=subject,
        body=body.replace(CODE, code),
        code=code,
        html=html,
    )


def demand_own_words(pool: Pool, attribute: str) -> None:
    """Refuse where a trigger would have chosen the words, or sent the message. Raises errors.UnexpectedLambda."""
    sender = "custom_email_sender" if attribute == "email" else "custom_sms_sender"
    unbuilt.demand_no_trigger(pool, "custom_message", sender)


def _is_html(template: str) -> bool:
    """Decided by the pool's words alone: somebody may be called `<b>`."""
    return _TAG.search(template) is not None


def _linked(body: str, link: str, *, html: bool) -> str:
    """With a link at each `{##text##}`: as HTML in a template that has tags, else where a plain mail shows it."""
    if html:
        return LINK.sub(lambda found: f'<a href="{escape(link)}">{found[1]}</a>', body)
    return LINK.sub(lambda found: f"{found[1]}: {link}", body)


def invitation(pool: Pool, attribute: str, user: User, name: str, password: str | None) -> Message:
    """The username of someone whom an administrator signed up, and a temporary password if he has one. Without one
    the pool's own words will do only if they do not speak of it. Raises errors.UnexpectedLambda (policy.unbuilt)."""
    demand_own_words(pool, attribute)
    given = pool.settings["admin_create_user_config"].get("invite_message_template", {})
    if password is None:
        given = {name: text for name, text in given.items() if CODE not in text}
        title, default = "Your account", f"Your username is {USERNAME}."
    else:
        title, default = "Your temporary password", f"Your username is {USERNAME} and temporary password is {CODE}."
    if attribute == "email":
        subject = given.get("email_subject") or title
        body = given.get("email_message") or default
        html = _is_html(body)
    else:
        subject, body = "", given.get("sms_message") or default
        html = False
    shown = escape if html else str
    return _message(
        pool,
        attribute,
        to=getattr(user, attribute),
        purpose="invitation",
        subject=subject.replace(USERNAME, name),
        # In one pass: a username is text that its owner chose, and may look like the other placeholder.
        body=PLACEHOLDER.sub(lambda found: shown(name if found[0] == USERNAME else password or ""), body),
        code=password,
        html=html,
    )


def _message(
    pool: Pool,
    attribute: str,
    *,
    to: str,
    purpose: str,
    subject: str,
    body: str,
    code: str | None,
    html: bool,
    link: str | None = None,
) -> Message:
    """What all messages of a pool have in common; mails come from whom EmailConfiguration says (reference: 2.6)."""
    given = (pool.settings.get("email_configuration") or {}) if attribute == "email" else {}
    return Message(
        to=to,
        channel=CHANNEL[attribute],
        purpose=purpose,
        subject=subject,
        body=body,
        code=code,
        link=link,
        pool_id=pool.id,
        html=html,
        sender=given.get("from") or _address_in(given.get("source_arn") or ""),
        reply_to=given.get("reply_to_email_address"),
    )


def _address_in(source_arn: str) -> str | None:
    """The address that the ARN of a verified SES identity names. One of a domain names none."""
    identity = source_arn.partition(":identity/")[2]
    return identity if looks_like_email(identity) else None


def sending(env: Env, message: Message) -> Callable[[], None]:
    """The act of sending, for `env.after_commit`."""
    sender = env.mail if message.channel == "email" else env.sms

    def send() -> None:
        try:
            sender.send(message)
        except Exception:
            metrics.MESSAGES.add(message.channel, "failed")
            raise
        metrics.MESSAGES.add(message.channel, "sent")

    return send
