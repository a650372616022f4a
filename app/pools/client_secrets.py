"""The secrets of app clients: a client has none for ever, or one or two, so that one can be replaced in peace
(reference: 3.1). Each is sealed because it is told again and SDKs make hashes with it, and digested because it is
compared."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import lazyload

from app import errors
from app.env import Env
from app.models import Client, ClientSecret, seals
from app.paging import Page, page

MOST = 2


@dataclass(frozen=True)
class Added:
    row: ClientSecret
    value: str


def of(env: Env, client: Client) -> list[str]:
    """The live secrets in clear, oldest first: for Describe, and for the hashes that SDKs make with them."""
    return [
        env.seal.open(secret.sealed, about=seals.client_secret(secret.id), pool=client.pool_id).decode("utf-8")
        for secret in client.secrets
    ]


def digest(env: Env, client_id: str, plain: str) -> str:
    return env.keyed.digest("client secret", f"{client_id} {plain}")


def first(env: Env, client: Client, plain: str) -> None:
    """Give a client that is being made its secret."""
    _add(env, client, plain)


def add(env: Env, client: Client, given: str | None) -> Added:
    """A second secret, given or made here. Raises errors.LimitExceeded, InvalidParameter for a client that was made
    without one or has this one already, UnknownClient."""
    plain = given or env.random.client_secret()
    with env.transaction():
        row = locked(env, client)
        present = _rows(env, row)
        if not present:
            # With its first secret a public client would refuse everybody who uses it now.
            raise errors.InvalidParameter(f"Client {row.id} was made without a secret and cannot be given one.")
        if len(present) >= MOST:
            raise errors.LimitExceeded(f"Client {row.id} has {MOST} secrets already; delete one first.")
        if digest(env, row.id, plain) in {secret.digest for secret in present}:
            raise errors.InvalidParameter("The client has this secret already.")
        added = _add(env, row, plain)
        env.db.flush()
        env.configuration_changed()
    return Added(added, plain)


def listed(env: Env, client: Client, *, token: str | None) -> Page[ClientSecret]:
    """The live secrets, oldest first. Raises errors.InvalidParameter for a foreign token."""
    mine = select(ClientSecret).where(ClientSecret.client_id == client.id)
    return page(env, mine, by=(ClientSecret.id,), size=60, token=token, about=f"secrets {client.id}")


def remove(env: Env, client: Client, secret_id: str) -> None:
    """End a secret at once. Raises errors.ResourceNotFound, and InvalidParameter for a client's last."""
    with env.transaction():
        row = locked(env, client)
        present = [secret.id for secret in _rows(env, row)]
        if secret_id not in present:
            raise errors.ResourceNotFound(f"Client secret {secret_id} does not exist.")
        if len(present) == 1:
            raise errors.InvalidParameter("The last secret of a client cannot be deleted.")
        env.db.execute(delete(ClientSecret).where(ClientSecret.id == secret_id))
        env.configuration_changed()


def locked(env: Env, client: Client) -> Client:
    """This transaction's own row of a client, with nobody else at it, and without what belongs to it: rows that are
    read in the statement that waited for the lock may be those from before. Raises errors.UnknownClient."""
    query = select(Client).where(Client.id == client.id).options(lazyload("*")).with_for_update()
    row = env.db.scalar(query)
    if row is None:
        raise errors.UnknownClient(client.id)
    return row


def count(env: Env, row: Client) -> int:
    """How many secrets a locked client has."""
    return len(_rows(env, row))


def _rows(env: Env, row: Client) -> list[ClientSecret]:
    return list(env.db.scalars(select(ClientSecret).where(ClientSecret.client_id == row.id)))


def _add(env: Env, row: Client, plain: str) -> ClientSecret:
    """An id ends in the second of its making, or the next that no secret of the client has had: an id that comes again
    would let a repeated deletion meet the wrong one."""
    now = env.now()
    second = max(int(now.timestamp()), row.settings.get("newest_secret", 0) + 1)
    row.settings = {**row.settings, "newest_secret": second}
    secret_id = f"{row.id}--{second}"
    secret = ClientSecret(
        id=secret_id,
        client_id=row.id,
        sealed=env.seal.seal(plain.encode("utf-8"), about=seals.client_secret(secret_id)),
        digest=digest(env, row.id, plain),
        created_at=now,
    )
    env.db.add(secret)
    return secret
