"""Groups, and who is in them (reference: 11.1). What tokens say of them is for tokens.claims."""

from __future__ import annotations

from sqlalchemy import delete as deletion
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from app import errors
from app.accounts import find
from app.db import raising
from app.env import Env
from app.models import Group, Membership, Pool, User
from app.paging import Page, page

PAGE = 60


def create(
    env: Env,
    pool: Pool,
    *,
    name: str,
    description: str | None = None,
    role_arn: str | None = None,
    precedence: int | None = None,
) -> Group:
    """A new group, empty. Raises errors.GroupExists, LimitExceeded, UnknownPool (it was deleted meanwhile)."""
    now = env.now()
    row = Group(
        pool_id=pool.id,
        name=name,
        description=description,
        role_arn=role_arn,
        precedence=precedence,
        created_at=now,
        modified_at=now,
    )
    with env.transaction():
        # One at a time in a pool, or as many as there are requests would pass the count. (Of this kind the lock is in
        # the way of nobody who writes a row that belongs to the pool.)
        if env.db.get(Pool, pool.id, with_for_update={"key_share": True}) is None:
            raise errors.UnknownPool(pool.id)
        if env.db.get(Group, (pool.id, name)) is not None:
            raise errors.GroupExists
        count = env.db.scalar(select(func.count()).select_from(Group).where(Group.pool_id == pool.id)) or 0
        most = env.settings.limit_groups
        if count >= most:
            raise errors.LimitExceeded(
                f"Group limit exceeded: a user pool has at most {most} groups (COGNATE_LIMIT_GROUPS)."
            )
        with raising(env.db, pk_group=errors.GroupExists()):
            env.db.add(row)
    return row


def existing(env: Env, pool: Pool, name: str) -> Group:
    """Raises errors.ResourceNotFound."""
    with env.reading() as session:
        return _found(session.get(Group, (pool.id, name)))


def _found(group: Group | None) -> Group:
    if group is None:
        raise errors.ResourceNotFound("Group not found.")
    return group


def update(
    env: Env,
    pool: Pool,
    *,
    name: str,
    description: str | None = None,
    role_arn: str | None = None,
    precedence: int | None = None,
) -> Group:
    """Change what is given and keep the rest: the published model says that it updates any of the properties, and has
    not the warning that it has of operations which reset what is left out. An empty description is one.

    Raises errors.ResourceNotFound.
    """
    with env.transaction():
        row = _found(env.db.get(Group, (pool.id, name), with_for_update=True))
        row.description = description if description is not None else row.description
        row.role_arn = role_arn if role_arn is not None else row.role_arn
        row.precedence = precedence if precedence is not None else row.precedence
        row.modified_at = env.now()
    return row


def delete(env: Env, pool: Pool, *, name: str) -> None:
    """Remove a group; nobody is in it any more (models: ON DELETE CASCADE). Raises errors.ResourceNotFound."""
    with env.transaction():
        gone = env.db.scalar(
            deletion(Group).where(Group.pool_id == pool.id, Group.name == name).returning(Group.name),
        )
        if gone is None:
            raise errors.ResourceNotFound("Group not found.")


def listed(env: Env, pool: Pool, *, limit: int | None = None, token: str | None = None) -> Page[Group]:
    """A page of the pool's groups, by name. Raises errors.InvalidParameter for a token that is not of this list."""
    query = select(Group).where(Group.pool_id == pool.id)
    return page(env, query, by=(Group.name,), size=limit or PAGE, token=token, about=f"groups of {pool.id}")


def add(env: Env, pool: Pool, *, name: str, username: str) -> None:
    """Put a user into a group; someone who is in it stays. He has it in his next tokens.

    Raises errors.UserNotFound, ResourceNotFound, InvalidParameter (he is in as many as he can be: the model has no
    LimitExceeded for this operation).
    """
    found = find.existing(env, pool, username)
    with env.transaction():
        # His row first: whoever adds him elsewhere at this moment is counted, and nobody deletes him under us. Then
        # the group's, which is then not deleted either; whoever deletes a group waits for no user's row.
        user = find.locked(env, found.user.sub)
        _found(env.db.get(Group, (pool.id, name), with_for_update={"read": True, "key_share": True}))
        if env.db.get(Membership, (user.sub, name)) is not None:
            return
        his = select(func.count()).select_from(Membership).where(Membership.user_sub == user.sub)
        most = env.settings.limit_groups_of_user
        if (env.db.scalar(his) or 0) >= most:
            raise errors.InvalidParameter(
                f"Group limit exceeded: a user is in at most {most} groups (COGNATE_LIMIT_GROUPS_OF_USER)."
            )
        env.db.add(Membership(user_sub=user.sub, group_name=name, pool_id=pool.id, created_at=env.now()))


def remove(env: Env, pool: Pool, *, name: str, username: str) -> None:
    """Take a user out of a group; someone who is not in it is none the worse. Raises errors.UserNotFound,
    ResourceNotFound."""
    found = find.existing(env, pool, username)
    with env.transaction():
        _found(env.db.get(Group, (pool.id, name)))
        env.db.execute(deletion(Membership).where(Membership.user_sub == found.user.sub, Membership.group_name == name))


def of_user(env: Env, pool: Pool, *, username: str, limit: int | None = None, token: str | None = None) -> Page[Group]:
    """A page of the groups that a user is in, by name. Raises errors.UserNotFound, InvalidParameter."""
    user = find.existing(env, pool, username).user
    query = (
        select(Group)
        .join(Membership, (Membership.pool_id == Group.pool_id) & (Membership.group_name == Group.name))
        .where(Membership.user_sub == user.sub)
    )
    return page(env, query, by=(Group.name,), size=limit or PAGE, token=token, about=f"groups of user {user.sub}")


def members(env: Env, pool: Pool, *, name: str, limit: int | None = None, token: str | None = None) -> Page[User]:
    """A page of the users in a group. The order is not promised: by `sub`, along the index of memberships.

    The users are read by a statement of their own: of a join PostgreSQL may make one that walks all users who come
    before the page. Raises errors.ResourceNotFound, InvalidParameter.
    """
    existing(env, pool, name)
    found = page(
        env,
        select(Membership)
        .where(Membership.pool_id == pool.id, Membership.group_name == name)
        .options(selectinload(Membership.user)),
        by=(Membership.user_sub,),
        size=limit or PAGE,
        token=token,
        about=f"users in {name} of {pool.id}",
    )
    # Whoever is deleted between the two is not there any more.
    return Page([each.user for each in found.rows if each.user], found.token)
