"""What may stand in the From header of a pool's mails."""

import pytest

from app.policy.mailbox import mailbox


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("no-reply@example.com", "", "no-reply@example.com"),
        ("Example <no-reply@example.com>", "Example", "no-reply@example.com"),
        ('"Example, Inc." <no-reply@example.com>', "Example, Inc.", "no-reply@example.com"),
        ("Grüße aus Köln <no-reply@example.com>", "Grüße aus Köln", "no-reply@example.com"),
        ("<no-reply@example.com>", "", "no-reply@example.com"),
    ],
)
def test_one_mailbox(value: str, name: str, address: str) -> None:
    found = mailbox(value)
    assert (found.display_name, found.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Example",
        "Example <>",
        "no-reply@",
        "a@example.com, b@example.com",
        "Everybody: a@example.com, b@example.com;",
        "Everybody: a@example.com;",
        "a@example.com\r\nBcc: everybody@example.com",
        "a@example.com\nX: y",
        "Example <a@example.com> trailing",
        "Example, Inc. <a@example.com>",
        "<<a@example.com>>",
        "a" * 400 + " <a@example.com>",
    ],
)
def test_nothing_else(value: str) -> None:
    with pytest.raises(ValueError):
        mailbox(value)
