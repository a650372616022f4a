"""Which columns hold sealed values, and what each value is sealed about.

Whoever seals or opens a value of a column names it by a function of this module, so that the place in COLUMNS is never
forgotten: `cognate verify` and `cognate rotate-kek` go through COLUMNS and through nothing else
(tests/house/test_sealed_columns.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import InstrumentedAttribute

from app.db import Base
from app.models.access_key import AccessKey
from app.models.attempt import Attempt
from app.models.client import Client, ClientSecret
from app.models.credential import Password
from app.models.device import Device
from app.models.factor import SoftwareToken
from app.models.installation import InstallationSecret
from app.models.signing_key import SigningKey
from app.models.user import User

SAML = "saml"
"""The purpose of a key that signs no tokens (tokens.certificates)."""


def installation_secret(name: str) -> str:
    return f"installation {name}"


def access_key(key_id: str) -> str:
    return f"access key {key_id}"


def signing_key(kid: str) -> str:
    return f"signing key {kid}"


def saml_signing_key(kid: str) -> str:
    return f"SAML signing key {kid}"


def client_secret(secret_id: str) -> str:
    return f"client secret {secret_id}"


def srp_verifier(sub: str) -> str:
    return f"srp verifier {sub}"


def srp_sub_verifier(sub: str) -> str:
    return f"srp verifier by sub {sub}"


def device_verifier(key: str) -> str:
    return f"device verifier {key}"


def software_token(sub: str) -> str:
    return f"totp secret of {sub}"


def custom_challenge() -> str:
    return "parameters of a custom challenge"


@dataclass(frozen=True)
class SealedColumn:
    column: InstrumentedAttribute[Any]
    about: Callable[[Mapping[str, Any]], str]
    """What the value of a row, given as its columns by name, is sealed about."""
    pool: InstrumentedAttribute[Any] | None = None
    """Leads from the row to its pool: the pool's id, or the key of the row that has it. None: the installation's."""
    member: str | None = None
    """In a JSON document: the member that is sealed."""

    @property
    def model(self) -> type[Base]:
        return self.column.class_  # type: ignore[return-value]

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    @property
    def name(self) -> str:
        """The column, and the member of a document."""
        return f"{self.column.key}.{self.member}" if self.member else str(self.column.key)

    def of(self, value: Any) -> str | None:
        """The sealed text in what the column holds."""
        if self.member is None or value is None:
            return value  # type: ignore[no-any-return]
        found: str | None = value.get(self.member)
        return found

    def replaced(self, value: Any, sealed: str) -> Any:
        """What the column holds with another sealed text."""
        return sealed if self.member is None else {**value, self.member: sealed}


COLUMNS = (
    SealedColumn(InstallationSecret.sealed, lambda row: installation_secret(row["name"])),
    SealedColumn(AccessKey.sealed, lambda row: access_key(row["id"])),
    SealedColumn(
        SigningKey.sealed,
        lambda row: (saml_signing_key if row["purpose"] == SAML else signing_key)(row["kid"]),
        pool=SigningKey.pool_id,
    ),
    SealedColumn(ClientSecret.sealed, lambda row: client_secret(row["id"]), pool=ClientSecret.client_id),
    SealedColumn(Password.srp_verifier, lambda row: srp_verifier(row["user_sub"]), pool=Password.user_sub),
    SealedColumn(Password.srp_sub_verifier, lambda row: srp_sub_verifier(row["user_sub"]), pool=Password.user_sub),
    SealedColumn(Device.verifier, lambda row: device_verifier(row["key"]), pool=Device.user_sub),
    SealedColumn(SoftwareToken.secret, lambda row: software_token(row["user_sub"]), pool=SoftwareToken.user_sub),
    SealedColumn(SoftwareToken.pending, lambda row: software_token(row["user_sub"]), pool=SoftwareToken.user_sub),
    # The others of its notes are no secrets.
    SealedColumn(Attempt.notes, lambda row: custom_challenge(), pool=Attempt.client_id, member="private"),
)
OWNERS = {"user_sub": User.sub, "client_id": Client.id}
"""The rows by which `SealedColumn.pool` leads to a pool where it is not the pool's id; they have a `pool_id`."""
