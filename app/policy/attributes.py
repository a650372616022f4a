"""Names and attributes of users: what they are called, what they may hold, who may write them (reference: 2.3, 2.4)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

from app import errors
from app.models import Naming, Pool

LONGEST = 2048
LONGEST_ADDRESS = 320
"""Characters of an e-mail address at most (RFC 5321, 4.5.3.1: 64 + 1 + 255); keeps what is indexed small."""
LONGEST_PREFERRED_USERNAME = 256
LONGEST_KEY = 512
"""Of what a name is compared by: NFKC makes eighteen characters of a single one, and an index holds only so much."""
SERVER_ONLY = frozenset({"sub", "identities", "email_verified", "phone_number_verified"})
"""What no client may write."""
ADDRESSES = ("email", "phone_number")
KEYED = (*ADDRESSES, "preferred_username")
"""What can be an alias, and is then compared like a name."""

_PHONE = re.compile(r"\+[0-9]{1,15}")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f]+@[^\s@<>\"(),:;\\\[\]\x00-\x1f]+")
_STRINGS = (
    "name given_name family_name middle_name nickname preferred_username profile picture website email gender "
    "zoneinfo locale phone_number address"
).split()


def _attribute(name: str, kind: str = "String", **other: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "mutable": True, "required": False, **other}


def standard_attributes() -> dict[str, dict[str, Any]]:
    """The attributes that every pool has, with Cognito's constraints."""
    found = [_attribute("sub", mutable=False, required=True, shortest=1, longest=LONGEST)]
    found += [_attribute(name, shortest=0, longest=LONGEST) for name in _STRINGS]
    found += [_attribute("birthdate", shortest=10, longest=10)]
    found += [_attribute(name, "Boolean") for name in ("email_verified", "phone_number_verified")]
    found += [_attribute("updated_at", "Number", least=0)]
    return {one["name"]: one for one in found}


def name_key(rules: Pool | Naming, name: str) -> str:
    """What a name is compared by: composed forms are one name; letter case counts where the rules say so."""
    return unicodedata.normalize("NFKC", name) if rules.case_sensitive else folded(name)


def search_key(value: str) -> str:
    """What a search compares, whatever the letter case. Cut where an index has to end; no filter is as long."""
    return folded(value)[:LONGEST_KEY]


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def looks_like_email(value: str) -> bool:
    return len(value) <= LONGEST_ADDRESS and _EMAIL.fullmatch(value) is not None


def looks_like_phone(value: str) -> bool:
    return _PHONE.fullmatch(value) is not None


def check_username(pool: Pool, username: str) -> None:
    """Refuse a username of a form that the pool uses for something else. Raises errors.InvalidParameter."""
    if "\0" in username:
        raise errors.InvalidParameter("Username must not contain a null character.", field="username")
    if len(name_key(pool, username)) > LONGEST_KEY:
        raise errors.InvalidParameter("Username is too long when its characters are normalised.", field="username")
    if pool.username_attributes:
        fits = {"email": looks_like_email(username), "phone_number": looks_like_phone(username)}
        if any(fits[kind] for kind in pool.username_attributes):
            return
        wanted: dict[tuple[str, ...], str] = {
            ("email",): "Username should be an email.",
            ("phone_number",): "Username should be a phone number.",
        }
        sentence = wanted.get(
            tuple(sorted(pool.username_attributes)), "Username should be either an email or a phone number."
        )
        raise errors.InvalidParameter(sentence, field="username")
    if "email" in pool.alias_attributes and looks_like_email(username):
        raise errors.InvalidParameter(
            "Username cannot be of email format, since user pool is configured for email alias.", field="username"
        )
    if "phone_number" in pool.alias_attributes and looks_like_phone(username):
        raise errors.InvalidParameter(
            "Username cannot be of phone number format, since user pool is configured for phone number alias.",
            field="username",
        )


def check_writable(attributes: Mapping[str, str], writable: frozenset[str] | None) -> None:
    """Refuse attributes that a client may not write. Raises errors.NotAuthorized."""
    for name in attributes:
        if name in SERVER_ONLY or (writable is not None and name not in writable):
            raise errors.NotAuthorized("A client attempted to write unauthorized attribute", field=name)


def check_values(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Refuse attributes that the pool does not know, or values of the wrong form. Raises errors.InvalidParameter."""
    schema = pool.schema
    for name, value in attributes.items():
        if name not in schema:
            raise errors.InvalidParameter(
                f"Attributes did not conform to the schema: Type for attribute {{{name}}} could not be determined",
                field=name,
            )
        attribute = schema[name]
        if "\0" in value:
            raise _misshapen(name, "The value must not contain a null character")  # which PostgreSQL cannot store
        if name == "email" and value and not looks_like_email(value):
            raise errors.InvalidParameter("Invalid email address format.", field=name)
        if name == "phone_number" and value and not looks_like_phone(value):
            raise errors.InvalidParameter("Invalid phone number format.", field=name)
        longest = LONGEST_PREFERRED_USERNAME if name == "preferred_username" else attribute.longest
        if attribute.kind == "String":
            _check_length(name, value, attribute.shortest, longest)
        if name in KEYED and len(name_key(pool, value)) > LONGEST_KEY:
            raise _misshapen(name, "String is too long when its characters are normalised")
        if name == "birthdate":
            _check_date(value)
        if attribute.kind == "Number":
            _check_number(name, value, attribute.least, attribute.greatest)
        if attribute.kind == "Boolean" and value.lower() not in ("true", "false"):
            raise _misshapen(name, "The value must be true or false")


def check_required(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Refuse when a required attribute is missing or empty. Raises errors.InvalidParameter."""
    for name, attribute in pool.schema.items():
        if attribute.required and name != "sub" and not attributes.get(name):
            raise errors.InvalidParameter(
                f"Attributes did not conform to the schema: {name}: The attribute is required", field=name
            )


def check_verified_flags(attributes: Mapping[str, str]) -> None:
    """An address that is not there can be neither verified nor unverified. Raises errors.InvalidParameter."""
    for address, word in (("email", "Email"), ("phone_number", "Phone number")):
        if f"{address}_verified" in attributes and not attributes.get(address):
            raise errors.InvalidParameter(f"{word} is required to verify/un-verify {_an(word)}", field=address)


def _an(word: str) -> str:
    return "an email" if word == "Email" else "a phone number"


def _check_length(name: str, value: str, shortest: int | None, longest: int | None) -> None:
    if len(value) > (LONGEST if longest is None else longest):
        raise _misshapen(name, f"String must be no longer than {LONGEST if longest is None else longest} characters")
    if len(value) < (shortest or 0):
        raise _misshapen(name, f"String must be at least {shortest} characters long")


def _check_date(value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise _misshapen("birthdate", "The date must be YYYY-MM-DD") from None


def _check_number(name: str, value: str, least: int | None, greatest: int | None) -> None:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise _misshapen(name, "The value must be a whole number")
    if least is not None and int(value) < least:
        raise _misshapen(name, f"Number must be no less than {least}")
    if greatest is not None and int(value) > greatest:
        raise _misshapen(name, f"Number must be no greater than {greatest}")


def _misshapen(name: str, reason: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(f"Attributes did not conform to the schema: {name}: {reason}", field=name)
