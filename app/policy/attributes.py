"""Names and attributes of users: what they are called, what they may hold, who may write them (reference: 2.3, 2.4)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from app import errors
from app.models import Naming, Pool, User
from app.models.pool import SchemaAttribute

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
DEVELOPER = "dev:"
"""Prefix of what administrators alone read and write (DeveloperOnlyAttribute)."""
Claim = tuple[int, str, str]
"""Generation, attribute, value: the key of an alias within its pool."""
INNER = {"name": "name.formatted", "email": "emails", "phone_number": "phoneNumbers"}
"""What Cognito calls an attribute when it is missing at sign-up; clients match on it."""

_EPOCH = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PHONE = re.compile(r"\+[0-9]{1,15}")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f]+@[^\s@<>\"(),:;\\\[\]\x00-\x1f]+")
_UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point, which NFKC_Casefold leaves out too (Unicode, 3.13)."""
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
    """What a name is compared by: composed forms are one name, and what cannot be seen makes no other; letter case
    counts where the rules say so.

    What is longer than anybody's name is left as it is: normalising takes the square of its length, where that is all
    accents, and 130,000 of them, which a stranger may send, take half a minute of the whole process.
    """
    if len(name) > LONGEST:
        return name
    seen = name if name.isascii() else _UNSEEN.sub("", name)
    return unicodedata.normalize("NFKC", seen) if rules.case_sensitive else folded(seen)


def search_key(value: str) -> str:
    """What a search compares, whatever the letter case. Cut where an index has to end; no filter is as long."""
    return folded(value)[:LONGEST_KEY]


def address_key(attribute: str, address: str) -> str:
    """What two spellings of one address have in common: letter case, Unicode forms, and the two spellings of an
    internationalised domain (RFC 5890, 2.3.2.1). Telephone numbers have one spelling (E.164)."""
    if attribute != "email":
        return address
    local, _, domain = folded(_UNSEEN.sub("", address)).rpartition("@")
    labels = domain.replace("\u3002", ".").rstrip(".").split(".")
    return f"{local}@{'.'.join(_u_label(label) for label in labels)}"


def _u_label(label: str) -> str:
    try:
        return folded(label[4:].encode("ascii").decode("punycode")) if label.startswith("xn--") else label
    except UnicodeError:
        return label


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def looks_like_email(value: str) -> bool:
    return len(value) <= LONGEST_ADDRESS and _EMAIL.fullmatch(value) is not None


def looks_like_phone(value: str) -> bool:
    return _PHONE.fullmatch(value) is not None


def claims(rules: Naming, user: User) -> list[Claim]:
    """The names by which a user signs in under these rules: his username; addresses once they are verified, or at
    once where they take the username's place; a preferred username as soon as he has it."""
    found = [(rules.generation, "username", name_key(rules, user.username))]
    for attribute in rules.sign_in_attributes:
        address = getattr(user, attribute)
        at_once = attribute in rules.username_attributes or attribute not in ADDRESSES
        if address and (at_once or user.verified(attribute)):
            found.append((rules.generation, attribute, name_key(rules, address)))
    return found


def check_username(pool: Pool, username: str) -> None:
    """Refuse a username of a form that the pool uses for something else. Raises errors.InvalidParameter."""
    if "\0" in username:
        raise errors.InvalidParameter("Username must not contain a null character.", field="username")
    if not name_key(pool, username):
        raise errors.InvalidParameter("Username must have a character that can be seen.", field="username")
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
    # As it is compared: `＠` is another character than `@`, but makes the same name.
    compared = name_key(pool, username)
    if "email" in pool.alias_attributes and looks_like_email(compared):
        raise errors.InvalidParameter(
            "Username cannot be of email format, since user pool is configured for email alias.", field="username"
        )
    if "phone_number" in pool.alias_attributes and looks_like_phone(compared):
        raise errors.InvalidParameter(
            "Username cannot be of phone number format, since user pool is configured for phone number alias.",
            field="username",
        )


def check_writable(names: Iterable[str], writable: frozenset[str] | None) -> None:
    """Refuse attributes that a client may not write. Raises errors.NotAuthorized."""
    for name in names:
        if name in SERVER_ONLY or name.startswith(DEVELOPER) or (writable is not None and name not in writable):
            raise errors.NotAuthorized("A client attempted to write unauthorized attribute", field=name)


def readable(values: Mapping[str, str], allowed: Collection[str] | None) -> dict[str, str]:
    """What a client may see of a user's attributes: those on its list, or all where it has none. Developer-only ones
    never, whatever the list says; `sub` always, since every token tells it."""
    return {
        name: value
        for name, value in values.items()
        if not name.startswith(DEVELOPER) and (allowed is None or name == "sub" or name in allowed)
    }


def check_values(pool: Pool, attributes: Mapping[str, str], *, new: bool = True) -> None:
    """Refuse attributes that the pool does not know, or values of the wrong form. An empty value has none: it stands
    for nothing. Of a user who is not `new`, an unknown attribute is refused in other words.
    Raises errors.InvalidParameter."""
    schema = pool.schema
    if not new:
        check_known(pool, attributes)
    for name, value in attributes.items():
        if name not in schema:
            raise errors.InvalidParameter(
                f"Attributes did not conform to the schema: Type for attribute {{{name}}} could not be determined",
                field=name,
            )
        if value:
            _check_value(pool, schema[name], value)


def _check_value(pool: Pool, attribute: SchemaAttribute, value: str) -> None:
    name = attribute.name
    if "\0" in value:
        raise _misshapen(name, "The value must not contain a null character")  # which PostgreSQL cannot store
    if name == "email" and not looks_like_email(value):
        raise errors.InvalidParameter("Invalid email address format.", field=name)
    if name == "phone_number" and not looks_like_phone(value):
        raise errors.InvalidParameter("Invalid phone number format.", field=name)
    match attribute.kind:
        case "String":
            longest = LONGEST_PREFERRED_USERNAME if name == "preferred_username" else attribute.longest
            _check_length(name, value, attribute.shortest, longest)
        case "Number":
            _check_number(name, value, attribute.least, attribute.greatest)
        case "Boolean" if value.lower() not in ("true", "false"):
            raise _misshapen(name, "The value must be true or false")
        case "DateTime":
            _check_moment(name, value)
    if name in KEYED and len(name_key(pool, value)) > LONGEST_KEY:
        raise _misshapen(name, "String is too long when its characters are normalised")
    if name == "birthdate":
        _check_date(value)


def stored(pool: Pool, attributes: Mapping[str, str]) -> dict[str, str]:
    """Checked values as they are kept: those of a Boolean come in any letter case, and have one here."""
    booleans = {name for name, attribute in pool.schema.items() if attribute.kind == "Boolean"}
    return {name: value.lower() if name in booleans else value for name, value in attributes.items()}


def check_known(pool: Pool, names: Iterable[str]) -> None:
    """Refuse to change attributes that the pool does not know. Raises errors.InvalidParameter."""
    schema = pool.schema
    unknown = [name for name in names if name not in schema]
    if unknown:
        lines = "".join(f"user.{name}: Attribute does not exist in the schema.\n" for name in unknown)
        raise errors.InvalidParameter(f"Invalid user attributes: {lines}", field=unknown[0])


def check_changes(pool: Pool, changes: Mapping[str, str]) -> None:
    """Refuse to empty what is required, and to touch what is written once, even where it was not written then.
    Raises errors.InvalidParameter."""
    schema = pool.schema
    for name, value in changes.items():
        if not schema[name].mutable:
            raise errors.InvalidParameter(
                f"user.{name}: Attribute cannot be updated. (changing an immutable attribute)", field=name
            )
        if schema[name].required and not value:
            raise errors.InvalidParameter(
                f"Invalid user attributes: {name}: Required attribute cannot be deleted.", field=name
            )


def check_keeps_a_name(pool: Pool, present: Mapping[str, str], changes: Mapping[str, str]) -> None:
    """Refuse to empty the last address that a user signs in with, where addresses take the username's place: he would
    shut himself out for good. (Cognito's documentation does not say. Administrators may: they can give him another.)
    Raises errors.InvalidParameter."""
    after = {**present, **changes}
    left = [name for name in pool.username_attributes if present.get(name)]
    if left and not any(after.get(name) for name in pool.username_attributes):
        raise errors.InvalidParameter(
            f"Invalid user attributes: {left[0]}: Required attribute cannot be deleted.", field=left[0]
        )


def check_required(pool: Pool, attributes: Mapping[str, str]) -> None:
    """Refuse when required attributes are missing or empty, all of them in one sentence.
    Raises errors.InvalidParameter."""
    missing = missing_required(pool, attributes)
    if missing:
        said = ", ".join(_is_required(name) for name in missing)
        raise errors.InvalidParameter(f"Attributes did not conform to the schema: {said}", field=missing[0])


def missing_required(pool: Pool, attributes: Mapping[str, str]) -> list[str]:
    """Required attributes that are missing or empty. (`sub` never is.)"""
    return [
        name
        for name, attribute in pool.schema.items()
        if attribute.required and name != "sub" and not attributes.get(name)
    ]


def _is_required(name: str) -> str:
    if name in INNER:
        return f"{INNER[name]}: The attribute {INNER[name]} is required"
    return f"{name}: The attribute is required"


def check_verified_flags(attributes: Mapping[str, str], present: Mapping[str, str] | None = None) -> None:
    """An address that is not there, neither given nor `present`, can be neither verified nor unverified.
    Raises errors.InvalidParameter."""
    together = {**(present or {}), **attributes}
    for address, word in (("email", "Email"), ("phone_number", "Phone number")):
        if attributes.get(f"{address}_verified") and not together.get(address):
            raise errors.InvalidParameter(f"{word} is required to verify/un-verify {_an(word)}", field=address)


def verified_first(pool: Pool) -> frozenset[str]:
    """Addresses that a user keeps until he has proven the new one (AttributesRequireVerificationBeforeUpdate)."""
    given = pool.settings.get("user_attribute_update_settings") or {}
    return frozenset(given.get("attributes_require_verification_before_update") or ())


def _an(word: str) -> str:
    return "an email" if word == "Email" else "a phone number"


def _check_length(name: str, value: str, shortest: int | None, longest: int | None) -> None:
    if len(value) > (LONGEST if longest is None else longest):
        raise _misshapen(name, f"String must be no longer than {LONGEST if longest is None else longest} characters")
    if len(value) < (shortest or 0):
        raise _misshapen(name, f"String must be at least {shortest} characters long")


def _check_date(value: str) -> None:
    try:
        if not _DATE.fullmatch(value):  # Python reads weeks and days of the year too
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        raise _misshapen("birthdate", "The date must be YYYY-MM-DD") from None


def _check_moment(name: str, value: str) -> None:
    """ISO 8601, or seconds since 1970. (The reference leaves the form open; it is kept as it was given.)"""
    if _EPOCH.fullmatch(value):
        return
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _misshapen(name, "The value must be a moment: ISO 8601, or seconds since 1970") from None


def _check_number(name: str, value: str, least: int | None, greatest: int | None) -> None:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise _misshapen(name, "The value must be a whole number")
    if least is not None and int(value) < least:
        raise _misshapen(name, f"Number must be no less than {least}")
    if greatest is not None and int(value) > greatest:
        raise _misshapen(name, f"Number must be no greater than {greatest}")


def _misshapen(name: str, reason: str) -> errors.InvalidParameter:
    return errors.InvalidParameter(f"Attributes did not conform to the schema: {name}: {reason}", field=name)
