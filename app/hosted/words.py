"""What fields and rules are called on the pages, and which fields a pool's sign-up has."""

from __future__ import annotations

from collections.abc import Iterable

from app.hosted.forms import AttributeField, AttributeKind, PasswordRule
from app.models import Client, Pool, User
from app.policy.attributes import ADDRESSES

LABELS = {
    "address": "Address",
    "birthdate": "Date of birth",
    "email": "Email",
    "family_name": "Family name",
    "gender": "Gender",
    "given_name": "Given name",
    "locale": "Language",
    "middle_name": "Middle name",
    "name": "Full name",
    "nickname": "Nickname",
    "phone_number": "Phone number",
    "picture": "Address of a picture",
    "preferred_username": "Preferred username",
    "profile": "Address of a profile page",
    "updated_at": "Time of the last change",
    "website": "Website",
    "zoneinfo": "Time zone",
}
KINDS: dict[str, AttributeKind] = {"email": "email", "phone_number": "tel", "birthdate": "date"}
ORDER = ("email", "phone_number", "name", "given_name", "middle_name", "family_name")


def attribute_label(name: str) -> str:
    """`custom:favourite_colour` is called "Favourite colour"."""
    return LABELS.get(name) or name.rpartition(":")[2].replace("_", " ").strip().capitalize() or name


def attribute_field(name: str, *, required: bool = True) -> AttributeField:
    return AttributeField(name, attribute_label(name), required, KINDS.get(name, "text"))


def name_label(pool: Pool) -> str:
    """What people sign in with: "Email", "Username or email"."""
    names = pool.username_attributes or ["username", *(a for a in pool.alias_attributes if a in ADDRESSES)]
    words = [LABELS.get(name, "Username").lower() for name in sorted(names, key=_place)]
    *most, last = words
    label = f"{', '.join(most)} or {last}" if most else last
    return label[0].upper() + label[1:]


def _place(name: str) -> tuple[int, str]:
    order = ("username", *ORDER)
    return (order.index(name) if name in order else len(order), name)


def has_username(pool: Pool) -> bool:
    """Whether sign-up asks for a name: not where one address is the name."""
    return len(pool.username_attributes) != 1


def account_name(pool: Pool, user: User) -> str:
    """What a user signs in with. In a pool of addresses that is one of these: the username is an id nobody knows."""
    addresses = (getattr(user, name) for name in pool.username_attributes)
    return next(filter(None, addresses), user.username)


def username_field(pool: Pool) -> str:
    """The field of the sign-up form that holds the username."""
    return "username" if has_username(pool) else pool.username_attributes[0]


def sign_up_fields(client: Client) -> list[AttributeField]:
    """The attributes that sign-up asks for: required ones, those that get the code, those that sign in."""
    pool = client.pool
    required = {name for name, attribute in pool.schema.items() if attribute.required and name != "sub"}
    addresses = {*pool.auto_verified, *pool.sign_in_attributes} & set(ADDRESSES)
    if not has_username(pool):
        required.add(pool.username_attributes[0])
    elif pool.username_attributes:
        # The name is one of the two, nobody knows which; the other is asked for where the schema demands it.
        addresses = required & set(ADDRESSES)
        required -= addresses
    elif pool.auto_verified and not required & set(pool.auto_verified):
        # Without an address that a code can be sent to, the account could never be confirmed.
        required.add(sorted(pool.auto_verified, key=_place)[0])
    wanted = required | {name for name in addresses if client.writable is None or name in client.writable}
    return [attribute_field(name, required=name in required) for name in sorted(wanted, key=_place)]


def missing_fields(names: Iterable[str]) -> list[AttributeField]:
    return [attribute_field(name) for name in sorted(names, key=_place)]


def password_rules(pool: Pool) -> list[PasswordRule]:
    policy = pool.password_policy
    rules = [
        (True, f"At least {policy.minimum_length} characters", f"length:{policy.minimum_length}"),
        (policy.lowercase, "A lower-case letter (a–z)", "lower"),
        (policy.uppercase, "An upper-case letter (A–Z)", "upper"),
        (policy.numbers, "A digit (0–9)", "digit"),
        (policy.symbols, "A symbol, such as ! or ?", "symbol"),
    ]
    return [PasswordRule(text, check) for wanted, text, check in rules if wanted]
