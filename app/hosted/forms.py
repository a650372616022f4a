"""The forms of the pages for people.

A form checks the shape of what was typed: that it is there, and that it is not absurdly long. Whether a name is
free, a code is right or a password is good enough is decided behind, and comes back as a refusal that the view puts
on a field with ``refuse()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, PasswordField, StringField
from wtforms.validators import AnyOf, InputRequired, Length, Optional, StopValidation
from wtforms.widgets import DateInput, EmailInput, Input, TelInput, TextInput

USERNAME_MAX = 128
PASSWORD_MAX = 256
CODE_MAX = 2048
ATTRIBUTE_MAX = 2048
APP_NAME_MAX = 64

AttributeKind = Literal["email", "tel", "text", "date"]

WIDGETS: Mapping[AttributeKind, type[Input]] = {
    "email": EmailInput,
    "tel": TelInput,
    "text": TextInput,
    "date": DateInput,
}

# What a browser or a password manager may fill in for an attribute (the tokens of HTML's autocomplete).
AUTOCOMPLETE: Mapping[str, str] = {
    "address": "street-address",
    "birthdate": "bday",
    "email": "email",
    "family_name": "family-name",
    "gender": "sex",
    "given_name": "given-name",
    "locale": "language",
    "middle_name": "additional-name",
    "name": "name",
    "nickname": "nickname",
    "phone_number": "tel",
    "picture": "photo",
    "website": "url",
}


@dataclass(frozen=True)
class AttributeField:
    """An attribute that a page asks for: ``AttributeField("email", "Email", kind="email")``."""

    name: str
    label: str
    required: bool = True
    kind: AttributeKind = "text"


@dataclass(frozen=True)
class PasswordRule:
    """A password rule in words, and optionally in a form that the page can tick off while one types.

    ``check`` is ``length:8``, ``upper``, ``lower``, ``digit`` or ``symbol``. It only moves a tick on the page; the
    pool's policy has the last word.
    """

    text: str
    check: str = ""

    def __str__(self) -> str:
        return self.text


class Filled:
    """Refuse an empty answer, naming what is missing: "Enter your email." """

    field_flags: Mapping[str, bool] = {"required": True}

    def __init__(self, message: str | None = None) -> None:
        self.message = message

    def __call__(self, form: FlaskForm, field: Field) -> None:
        if not field.data:
            raise StopValidation(self.message or f"Enter your {in_a_sentence(str(field.label.text))}.")


def in_a_sentence(label: str) -> str:
    """Lower the first letter of a label, unless it starts with an abbreviation: "Email" but "ID number"."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def no_longer_than(limit: int) -> Length:
    """The longest answer that is looked at."""
    return Length(max=limit, message=f"Use at most {limit} characters.")


def trimmed(value: str | None) -> str | None:
    """Without the blanks that come along when a name is pasted."""
    return value.strip() if value else value


def unspaced(value: str | None) -> str | None:
    """Without any blank: "123 456" is the code 123456."""
    return "".join(value.split()) if value else value


def dialled(value: str | None) -> str | None:
    """A phone number without the marks people put between its digits: "+44 (20) 7946-0018"."""
    return "".join(c for c in value if c not in "-.()/" and not c.isspace()) if value else value


class PlainForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What every form of the pages can do."""

    wrong: str | None = None
    """What this form says of a code or a password that is not right, in place of what all say."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: FlaskForm, formdata: object) -> MultiDict[str, str] | None:
            """What a form sends, and nothing else: Flask-WTF also takes files, and whatever JSON there is."""
            return request.form if request.method == "POST" else None

    def refuse(self, name: str | None, sentence: str) -> bool:
        """Put a sentence on the field called ``name`` (ours, or an attribute's); say whether there is one."""
        for key in (name, f"attribute_{name}"):
            if key is not None and key in self._fields:
                field = self._fields[key]
                field.errors = [*field.errors, sentence]
                return True
        return False


class UsernameForm(PlainForm):
    """A form that asks who someone is."""

    username = StringField(
        "Username or email",
        filters=[trimmed],
        validators=[Filled(), no_longer_than(USERNAME_MAX)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )

    def called(self, label: str) -> None:
        """Call the username what this pool calls it: "Email", "Username or email"."""
        self.username.label.text = label


def current_password_field() -> PasswordField:
    """A field for a password that one has."""
    return PasswordField(
        "Password",
        validators=[InputRequired("Enter your password."), no_longer_than(PASSWORD_MAX)],
        render_kw={"autocomplete": "current-password", "autocapitalize": "none", "spellcheck": "false"},
    )


def new_password_field() -> PasswordField:
    """A field for a password that is being chosen."""
    return PasswordField(
        "Password",
        # InputRequired, not Filled: a password of blanks is the policy's business.
        validators=[InputRequired("Choose a password."), no_longer_than(PASSWORD_MAX)],
        render_kw={"autocomplete": "new-password", "autocapitalize": "none", "spellcheck": "false"},
    )


def code_field(empty: str = "Enter the code from the message.") -> StringField:
    """A field for digits that came by message, or that an app shows. `empty` is said when there are none."""
    return StringField(
        "Code",
        filters=[unspaced],
        validators=[Filled(empty), no_longer_than(CODE_MAX)],
        render_kw={
            "autocomplete": "one-time-code",
            "autocapitalize": "none",
            "inputmode": "numeric",
            "spellcheck": "false",
        },
    )


class SignInForm(UsernameForm):
    """Who, and the proof."""

    password = current_password_field()


class AttributesForm(PlainForm):
    """A form with fields for attributes, which differ from pool to pool."""

    asked: Sequence[AttributeField] = ()

    @property
    def attributes(self) -> list[StringField]:
        """The attribute fields, in the order in which they are asked."""
        return [cast(StringField, self._fields[f"attribute_{one.name}"]) for one in self.asked]

    @property
    def answers(self) -> dict[str, str]:
        """Attribute name to value, without the ones left empty."""
        return {one.name: field.data for one, field in zip(self.asked, self.attributes, strict=True) if field.data}


class SignUpForm(AttributesForm):
    """A new account. Made by ``sign_up_form()``, which adds the username (when there is one) and the attributes."""

    password: PasswordField


class ConfirmForm(UsernameForm):
    """The code that proves an address, for a user who is usually known already."""

    confirmation_code = code_field()


class LinkForm(PlainForm):
    """One button: the link of a mail has said everything else."""

    verifies_email: bool = False
    """Whether the link verifies an address, and does not confirm a sign-up."""


class ResendForm(UsernameForm):
    """Whom to send another code."""


class ForgotPasswordForm(UsernameForm):
    """Whom to send a code for a new password."""


class ResetPasswordForm(UsernameForm):
    """The code, and the new password."""

    confirmation_code = code_field()
    password = new_password_field()


class NewPasswordForm(AttributesForm):
    """A password of one's own. Made by ``new_password_form()``, which adds the attributes still missing."""

    password: PasswordField


class SentCodeForm(PlainForm):
    """A code that was sent, after the password."""

    wrong = "This code is not right, or it is too old. Check it, or sign in once more to get a new one."
    confirmation_code = code_field()


class AppCodeForm(PlainForm):
    """The code that an authenticator app shows."""

    wrong = "This code is not right. Enter the one that the app shows just now."
    confirmation_code = code_field("Enter the code that your app shows.")


class RecoveryCodeForm(PlainForm):
    """A code that was written down for the day on which the second factor is lost."""

    wrong = "This code is not right, or it was used already. Check it, or take another one from your list."
    confirmation_code = StringField(
        "Recovery code",
        filters=[unspaced],
        validators=[Filled("Enter one of your recovery codes."), no_longer_than(CODE_MAX)],
        render_kw={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"},
    )


class ChoiceForm(PlainForm):
    """One of several ways. Made by ``choice_form()``."""

    choice: StringField


class SetUpAppForm(AppCodeForm):
    """The first code of an app, which shows that it has the secret."""

    app_name = StringField(
        "Name of the app",
        filters=[trimmed],
        validators=[Optional(), no_longer_than(APP_NAME_MAX)],
        render_kw={"autocomplete": "off"},
    )


class SetUpEmailForm(PlainForm):
    """The address that codes are to go to."""

    email = StringField(
        "Email",
        filters=[trimmed],
        validators=[Filled(), no_longer_than(ATTRIBUTE_MAX)],
        widget=EmailInput(),
        render_kw={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"},
    )


class PasswordAgainForm(PlainForm):
    """The password of who is signed in, for what a session alone may not do."""

    wrong = "This password is not right."
    username = StringField("Username", render_kw={"autocomplete": "username"})
    """For password managers; who it is, the session says."""
    password = current_password_field()


def choice_form(ways: Sequence[str]) -> type[ChoiceForm]:
    """A form with a button for each of several ways."""
    choice = StringField("How", validators=[AnyOf(ways, message="Choose one of these.")])
    return cast("type[ChoiceForm]", type("ChoiceForm", (ChoiceForm,), {"choice": choice}))


def sign_up_form(attributes: Sequence[AttributeField], with_username: bool) -> type[SignUpForm]:
    """The sign-up form of a pool: username when the pool has usernames, the attributes, the password."""
    # Fields come out in the order in which they are made, and so do the links of the error summary.
    fields: dict[str, object] = {"asked": tuple(attributes)}
    if with_username:
        fields["username"] = StringField(
            "Username",
            filters=[trimmed],
            validators=[Filled("Choose a username."), no_longer_than(USERNAME_MAX)],
            render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
        )
    fields.update((f"attribute_{one.name}", attribute_field(one)) for one in attributes)
    fields["password"] = new_password_field()
    return cast("type[SignUpForm]", type("SignUpForm", (SignUpForm,), fields))


def new_password_form(attributes: Sequence[AttributeField] = ()) -> type[NewPasswordForm]:
    """The form on which someone replaces the password that an administrator gave them."""
    fields: dict[str, object] = {"asked": tuple(attributes)}
    fields.update((f"attribute_{one.name}", attribute_field(one)) for one in attributes)
    fields["password"] = new_password_field()
    return cast("type[NewPasswordForm]", type("NewPasswordForm", (NewPasswordForm,), fields))


def attribute_field(asked: AttributeField) -> StringField:
    """A field for one attribute, called ``requiredAttributes[email]`` on the wire as on Cognito's pages."""
    render_kw: dict[str, str] = {}
    if asked.name in AUTOCOMPLETE:
        render_kw["autocomplete"] = AUTOCOMPLETE[asked.name]
    if asked.kind == "email":
        render_kw |= {"autocapitalize": "none", "spellcheck": "false"}
    return StringField(
        asked.label,
        name=f"requiredAttributes[{asked.name}]",
        id=asked.name.replace(":", "-"),
        filters=[dialled if asked.kind == "tel" else trimmed],
        validators=[Filled() if asked.required else Optional(), no_longer_than(ATTRIBUTE_MAX)],
        widget=WIDGETS[asked.kind](),
        render_kw=render_kw,
    )
