"""Refusals in the words of OAuth."""

from __future__ import annotations

import pytest

from app import errors
from app.errors import Refusal
from app.oauth.errors import plain, told


@pytest.mark.parametrize(
    ("refusal", "error", "status"),
    [
        (errors.InvalidGrant(), "invalid_grant", 400),
        (errors.RefreshTokenRefused(), "invalid_grant", 400),
        (errors.RefreshTokenReuse(), "invalid_grant", 400),
        (errors.UserDisabled(), "invalid_grant", 400),
        (errors.UserNotFound(), "invalid_grant", 400),
        (errors.UnknownClient("x"), "invalid_client", 400),
        (errors.UnknownPool("x"), "invalid_request", 404),
        (errors.ScopeDoesNotExist(), "invalid_scope", 400),
        (errors.UnsupportedTokenType(), "unsupported_token_type", 400),
        (errors.UnsupportedOperation(), "invalid_request", 400),
        (errors.InvalidParameter(), "invalid_request", 400),
        (errors.TooManyRequests(), "temporarily_unavailable", 429),
    ],
)
def test_each_refusal_has_its_word(refusal: Refusal, error: str, status: int) -> None:
    assert told(refusal) == (error, plain(refusal.message), status)


def test_a_description_has_no_character_that_breaks_a_header_or_a_string() -> None:
    """RFC 6749, 5.2; Authlib raises ValueError for what is not allowed."""
    assert plain('say "no"\\\r\nto ключ ~!') == "say 'no'???to ???? ~!"
