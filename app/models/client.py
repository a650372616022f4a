"""An app client: who asks for tokens, and what he may have."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.pool import Pool

UNITS = {
    "seconds": timedelta(seconds=1),
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
}
DEFAULT_VALIDITY = {"access": (1, "hours"), "id": (1, "hours"), "refresh": (30, "days")}
"""What holds for the number and for the unit of a token's life, each where it is not given (reference: 3.1)."""


_LOOPBACK = re.compile(r"(http://(?:localhost|127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)", re.DOTALL)


def _without_port(uri: str) -> tuple[str, str] | None:
    """A loopback URI in its two other parts. What follows the port must begin a path or a query: in
    `http://localhost:1@evil.example` the host is another."""
    found = _LOOPBACK.fullmatch(uri)
    return (found[1], found[2]) if found else None


class Client(Base):
    __tablename__ = "client"
    __table_args__ = (Index("ix_client_pool_id_name", "pool_id", "name"),)

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(128))
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]

    pool: Mapped[Pool] = relationship(lazy="joined", innerjoin=True, viewonly=True)
    secrets: Mapped[list[ClientSecret]] = relationship(lazy="joined", viewonly=True, order_by="ClientSecret.id")

    @property
    def confidential(self) -> bool:
        return bool(self.secrets)

    @property
    def auth_flows(self) -> frozenset[str]:
        """What `InitiateAuth` may do for it, in today's names (reference: 3.2). Refresh tokens that rotate are not
        refreshed in the flow that gives no new one, whatever else would allow it."""
        return self._allowed - {"ALLOW_REFRESH_TOKEN_AUTH"} if self.rotates else self._allowed

    @property
    def _allowed(self) -> frozenset[str]:
        given = set(self.settings.get("explicit_auth_flows") or [])
        if not given:
            return frozenset({"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"})
        if given & LEGACY_FLOWS.keys():
            if given == {"CUSTOM_AUTH_FLOW_ONLY"}:
                return frozenset({"ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"})
            always = {"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}
            return frozenset(always | {LEGACY_FLOWS[flow] for flow in given})
        return frozenset(given)

    @property
    def hides_users(self) -> bool:
        """Whether an unknown user is answered like a known one (PreventUserExistenceErrors)."""
        return bool(self.settings["prevent_user_existence_errors"] == "ENABLED")

    @property
    def revocable(self) -> bool:
        """Whether its tokens carry `origin_jti` and can be revoked (EnableTokenRevocation)."""
        return bool(self.settings["enable_token_revocation"])

    @property
    def oauth_flows(self) -> frozenset[str]:
        """`code`, `implicit`, `client_credentials`: those allowed, none while OAuth is off for the client."""
        if not self.settings.get("allowed_oauth_flows_user_pool_client"):
            return frozenset()
        return frozenset(self.settings.get("allowed_oauth_flows", []))

    @property
    def oauth_scopes(self) -> list[str]:
        return list(self.settings.get("allowed_oauth_scopes", []))

    @property
    def requires_pkce(self) -> bool:
        """Whether it gets no code without PKCE."""
        return bool(self.settings.get("require_pkce"))

    @property
    def callback_urls(self) -> list[str]:
        return list(self.settings.get("callback_urls", []))

    @property
    def default_redirect_uri(self) -> str | None:
        """Where a code goes whose request names no redirect URI (DefaultRedirectURI)."""
        return self.settings.get("default_redirect_uri")

    def redirects_to(self, uri: str) -> bool:
        """Whether it has registered this redirect URI, compared as a string. Of loopback URIs the port may vary,
        because an app on somebody's machine takes the one that is free (RFC 8252, 7.3)."""
        registered = self.callback_urls
        if uri in registered:
            return True
        asked = _without_port(uri)
        return asked is not None and any(asked == _without_port(each) for each in registered)

    @property
    def logout_urls(self) -> list[str]:
        return list(self.settings.get("logout_urls", []))

    @property
    def readable(self) -> frozenset[str] | None:
        """Attributes it may read; None: all."""
        given = self.settings.get("read_attributes")
        return frozenset(given) if given else None

    @property
    def writable(self) -> frozenset[str] | None:
        """Attributes it may write; None: all but those that only the server writes."""
        given = self.settings.get("write_attributes")
        return frozenset(given) if given else None

    @property
    def rotates(self) -> bool:
        """Whether a refresh token is good for one refresh, which gives the next one (RefreshTokenRotation)."""
        return bool((self.settings.get("refresh_token_rotation") or {}).get("feature") == "ENABLED")

    @property
    def retry_grace(self) -> timedelta:
        """How long a refresh that is repeated, because its answer was lost, gets the same answer."""
        given = self.settings.get("refresh_token_rotation") or {}
        return timedelta(seconds=given.get("retry_grace_period_seconds") or 0)

    def _validity(self, token: str) -> timedelta:
        number, unit = DEFAULT_VALIDITY[token]
        given = self.settings.get(f"{token}_token_validity") or number
        return int(given) * UNITS[self.settings.get("token_validity_units", {}).get(f"{token}_token", unit)]

    @property
    def access_validity(self) -> timedelta:
        return self._validity("access")

    @property
    def id_validity(self) -> timedelta:
        return self._validity("id")

    @property
    def refresh_validity(self) -> timedelta:
        return self._validity("refresh")

    @property
    def session_validity(self) -> timedelta:
        """How long a step of a sign-in waits for its answer (AuthSessionValidity)."""
        return timedelta(minutes=self.settings["auth_session_validity"])


LEGACY_FLOWS = {
    "ADMIN_NO_SRP_AUTH": "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "USER_PASSWORD_AUTH": "ALLOW_USER_PASSWORD_AUTH",
    "CUSTOM_AUTH_FLOW_ONLY": "ALLOW_CUSTOM_AUTH",
}


class ClientSecret(Base):
    """One of a client's live secrets: sealed because Describe shows it, hashed because it is compared."""

    __tablename__ = "client_secret"

    id: Mapped[str] = mapped_column(String(160), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id", ondelete="CASCADE"), index=True)
    sealed: Mapped[str]
    digest: Mapped[str] = mapped_column(String(43))
    created_at: Mapped[datetime]
