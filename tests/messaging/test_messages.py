"""Which message in which words."""

from typing import Any

import pytest

from app import errors
from app.accounts import administer
from app.env import Env
from app.messaging import messages
from app.messaging.messages import Delivery
from app.pools import mfa
from tests.build import a_pool, a_user
from tests.conftest import Clock


@pytest.mark.parametrize(
    ("attribute", "address", "masked"),
    [
        ("email", "test@example.com", "t***@e***"),
        ("email", "t@e.com", "t***@e***"),
        ("email", '"a@b"@example.com', '"***@e***'),
        ("email", "josé@bücher.example", "j***@b***"),
        ("phone_number", "+15555559934", "+*******9934"),
    ],
)
def test_where_it_went_is_told_without_telling_the_address(attribute: str, address: str, masked: str) -> None:
    assert messages.mask(attribute, address) == masked
    medium = "EMAIL" if attribute == "email" else "SMS"
    assert messages.delivery(attribute, address) == Delivery(attribute, medium, masked)


def test_the_words_of_a_pool_without_words_of_its_own(env: Env) -> None:
    pool = a_pool(env)
    mail = messages.verification(pool, "email", "a@example.com", "123456", purpose="sign_up")
    assert (mail.subject, mail.body) == ("Your verification code", "Your verification code is 123456")
    assert (mail.to, mail.channel, mail.purpose, mail.code) == ("a@example.com", "email", "sign_up", "123456")
    assert mail.pool_id == pool.id
    sms = messages.verification(pool, "phone_number", "+15555550100", "123456", purpose="forgot_password")
    assert (sms.channel, sms.subject, sms.body) == ("sms", "", "Your verification code is 123456. ")


def test_the_words_of_a_pool_are_used_with_every_placeholder_filled(env: Env) -> None:
    pool = a_pool(
        env,
        verification_message_template={
            "email_subject": "Welcome",
            "email_message": "{####}! Again: {####}.",
            "sms_message": "SMS {####}",
        },
    )
    mail = messages.verification(pool, "email", "a@example.com", "123456", purpose="sign_up")
    assert (mail.subject, mail.body) == ("Welcome", "123456! Again: 123456.")
    sms = messages.verification(pool, "phone_number", "+15555550100", "123456", purpose="sign_up")
    assert sms.body == "SMS 123456"


LINK = "https://auth.example.com/confirmUser?client_id=c&user_name=a%26b&confirmation_code=123456"


@pytest.mark.parametrize(
    ("template", "body"),
    [
        (None, f"Please click the link below to verify your email address. Verify Email: {LINK}"),
        ("Go {##here##} or {##there##}.", f"Go here: {LINK} or there: {LINK}."),
        (
            "<p>Go {##<b>here</b>##}</p>",
            f'<p>Go <a href="{LINK.replace("&", "&amp;")}"><b>here</b></a></p>',
        ),
        ("No placeholder, {####}", "No placeholder, 123456"),
    ],
)
def test_a_link_takes_the_place_of_its_text(env: Env, template: str | None, body: str) -> None:
    given = {"email_message_by_link": template, "email_subject_by_link": "Welcome"} if template else {}
    option = {"default_email_option": "CONFIRM_WITH_LINK"}
    pool = a_pool(env, algorithm="ES256", verification_message_template={**option, **given})
    assert messages.by_link(pool)
    mail = messages.verification(pool, "email", "a@example.com", "123456", purpose="sign_up", link=LINK)
    assert (mail.body, mail.link, mail.code) == (body, LINK, "123456")
    assert mail.subject == ("Welcome" if template else "Your verification link")
    sms = messages.verification(pool, "phone_number", "+15555550100", "123456", purpose="sign_up", link=None)
    assert sms.body == "Your verification code is 123456. "


def invited(env: Env, sent: Any, username: str, **template: str) -> Any:
    pool = a_pool(
        env,
        admin_create_user_config={"allow_admin_create_user_only": False, "invite_message_template": template},
    )
    administer.create(
        env,
        pool,
        username=username,
        attributes={"email": "a@example.com"},
        temporary_password="Temporary-1",
        mediums=("EMAIL",),
    )
    (message,) = sent("a@example.com")
    return message


def test_an_invitation_has_the_name_and_the_temporary_password(env: Env, sent: Any) -> None:
    message = invited(env, sent, "alice")
    assert message.subject == "Your temporary password"
    assert message.body == "Your username is alice and temporary password is Temporary-1."
    assert (message.purpose, message.code) == ("invitation", "Temporary-1")


def test_an_invitation_in_the_words_of_the_pool(env: Env, sent: Any) -> None:
    message = invited(env, sent, "alice", email_subject="Come in", email_message="{username}/{####}/{username}")
    assert (message.subject, message.body) == ("Come in", "alice/Temporary-1/alice")


def test_a_name_that_looks_like_a_placeholder_brings_no_second_password(env: Env, sent: Any) -> None:
    message = invited(env, sent, "{####}", email_message="Hello {username}: {####}")
    assert message.body == "Hello {####}: Temporary-1"


def test_sending_chooses_the_way_by_the_channel(env: Env, sent: Any, clock: Clock) -> None:
    pool = a_pool(env)
    a_user(env, pool)
    for attribute, address in (("email", "a@example.com"), ("phone_number", "+15555550100")):
        messages.sending(env, messages.verification(pool, attribute, address, "123456", purpose="sign_up"))()
    assert {message.to: message.channel for message in sent()} == {"a@example.com": "email", "+15555550100": "sms"}


def test_what_people_choose_is_no_html_in_a_mail_that_is(env: Env) -> None:
    words = {"invite_message_template": {"email_message": "<p>{username}: {####}</p>"}}
    pool = a_pool(env, admin_create_user_config=words)
    user = a_user(env, pool, "<img/src=x>")
    message = messages.invitation(pool, "email", user, user.username, "<1&aB>x")
    assert message.html
    assert message.body == "<p>&lt;img/src=x&gt;: &lt;1&amp;aB&gt;x</p>"
    plain = messages.invitation(a_pool(env), "email", user, user.username, "<1&aB>x")
    assert not plain.html
    assert plain.body == "Your username is <img/src=x> and temporary password is <1&aB>x."


@pytest.mark.parametrize(
    "trigger",
    [{"custom_message": "arn"}, {"custom_email_sender": {"lambda_version": "V1_0", "lambda_arn": "arn"}}],
)
def test_words_that_a_trigger_would_choose_are_not_replaced_by_others(env: Env, trigger: dict[str, Any]) -> None:
    pool = a_pool(env, lambda_config={**trigger, "kms_key_id": "arn"})
    user = a_user(env, pool)
    with pytest.raises(errors.UnexpectedLambda):
        messages.verification(pool, "email", "alice@example.com", "123456", purpose="sign_up")
    with pytest.raises(errors.UnexpectedLambda):
        messages.invitation(pool, "email", user, "alice", "secret")


def test_a_code_to_sign_in_with_has_words_of_its_own(env: Env) -> None:
    pool = a_pool(env)
    mail = messages.sign_in_code(pool, "email", "a@example.com", "123456")
    assert (mail.subject, mail.body) == ("Your authentication code", "Your authentication code is 123456")
    assert (mail.to, mail.purpose, mail.code, mail.html) == ("a@example.com", "sign_in", "123456", False)
    sms = messages.sign_in_code(pool, "phone_number", "+15555550100", "123456")
    assert (sms.channel, sms.subject, sms.body) == ("sms", "", "Your authentication code is 123456. ")
    words = {"message": "<b>{####}</b>", "subject": "{####}?"}
    given = {"mfa_configuration": "OPTIONAL", "email_mfa_configuration": words}
    mail = messages.sign_in_code(mfa.configure(env, pool, given), "email", "a@example.com", "123456")
    # What a lock screen shows of a mail is its subject.
    assert (mail.subject, mail.body, mail.html) == ("{####}?", "<b>123456</b>", True)


def test_an_invitation_may_name_its_user_in_the_subject(env: Env, sent: Any) -> None:
    message = invited(env, sent, "alice", email_subject="Welcome, {username}", email_message="{username} {####}")
    assert message.subject == "Welcome, alice"


@pytest.mark.parametrize(
    ("configured", "sender"),
    [
        ({}, None),
        ({"from": "Example <hello@example.com>"}, "Example <hello@example.com>"),
        ({"source_arn": "arn:aws:ses:us-east-1:1:identity/hello@example.com"}, "hello@example.com"),
        ({"source_arn": "arn:aws:ses:us-east-1:1:identity/example.com"}, None),
        (
            {"source_arn": "arn:aws:ses:us-east-1:1:identity/a@example.com", "from": "b@example.com"},
            "b@example.com",
        ),
    ],
)
def test_mails_come_from_whom_the_pool_names(env: Env, configured: dict[str, str], sender: str | None) -> None:
    pool = a_pool(env, email_configuration={**configured, "reply_to_email_address": "help@example.com"})
    user = a_user(env, pool)
    for mail in (
        messages.verification(pool, "email", "a@example.com", "123456", purpose="sign_up"),
        messages.sign_in_code(pool, "email", "a@example.com", "123456"),
        messages.invitation(pool, "email", user, "alice", "Temporary-1"),
    ):
        assert (mail.sender, mail.reply_to) == (sender, "help@example.com")
    sms = messages.verification(pool, "phone_number", "+15555550100", "123456", purpose="sign_up")
    assert (sms.sender, sms.reply_to) == (None, None)


@pytest.mark.parametrize("given", [{"from": "Example"}, {"from": "a@b.c\r\nX: y"}, {"reply_to_email_address": "x"}])
def test_a_sender_that_could_send_nothing_is_refused_when_it_is_set(env: Env, given: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidParameter, match="EmailConfiguration"):
        a_pool(env, email_configuration=given)
