"""The sender of a pool's mails: an address, or a name and an address (RFC 5322, 3.4: a mailbox)."""

from __future__ import annotations

import re
from email.headerregistry import Address

from app.policy.attributes import looks_like_email

LONGEST_NAME = 256
# The parser of the standard library is not used: for text that is no mailbox it raises whatever comes, RecursionError
# among it, and takes several addresses and groups for one header.
_MAILBOX = re.compile(r'(?:"((?:[^"\\]|\\["\\])*)"|([^"<>@,;:()\[\]\\]*)) ?<([^<>]+)>')
_ESCAPED = re.compile(r'\\(["\\])')


def mailbox(value: str) -> Address:
    """`name@example.com` or `Name <name@example.com>`, the name in quotes where it has a comma or the like. Raises
    ValueError for anything else: several addresses, none, or a line break, which would begin another header."""
    found = _MAILBOX.fullmatch(value)
    name, address = (_ESCAPED.sub(r"\1", found[1] or found[2] or "").strip(), found[3]) if found else ("", value)
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError("not a name in one line")
    return bare(address, name)


def bare(address: str, name: str = "") -> Address:
    """An address alone. Raises ValueError for what is not one."""
    if not looks_like_email(address):
        raise ValueError("not an address")
    local, _, domain = address.rpartition("@")
    return Address(display_name=name, username=local, domain=domain)
