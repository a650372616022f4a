"""Labels that a customer puts on a pool (reference: 11.5). They mean nothing here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from app import errors
from app.env import Env
from app.models import Pool
from app.pools import find
from app.pools.pool_settings import check_tags


def pool_of(env: Env, arn: str) -> Pool:
    """The pool that an ARN names: of this server's region and account, spelled as DescribeUserPool spells it.

    Only the whole beginning counts. Who may do what was decided by what follows the last `:userpool/`
    (api.caller.check_permitted), and of an ARN with two of them nothing else may be made here.

    Raises errors.InvalidParameter (no user pool's), ResourceNotFound (not one of ours).
    """
    _, partition, service, *rest = [*arn.split(":", 5), "", "", "", "", ""][:6]
    if service != "cognito-idp" or not rest[2].startswith("userpool/"):
        raise errors.InvalidParameter("The ResourceArn is not that of a user pool.", field="resource_arn")
    region, account, resource = rest
    if (partition, region, account) != ("aws", env.settings.region, env.settings.account_id):
        raise errors.ResourceNotFound(f"Resource {arn} does not exist.")
    return find.pool(env, resource.removeprefix("userpool/"))


def of(pool: Pool) -> dict[str, str]:
    return dict(pool.settings.get("user_pool_tags") or {})


def put(env: Env, pool: Pool, tags: Mapping[str, str]) -> None:
    """Set tags; others stay. Raises errors.InvalidParameter, UnknownPool."""
    _change(env, pool, lambda present: {**present, **tags})


def remove(env: Env, pool: Pool, keys: Collection[str]) -> None:
    """Remove tags, those that there are. Raises errors.UnknownPool."""
    _change(env, pool, lambda present: {key: value for key, value in present.items() if key not in keys})


def _change(env: Env, pool: Pool, made: Callable[[dict[str, str]], dict[str, str]]) -> None:
    with env.transaction():
        row = env.db.get(Pool, pool.id, with_for_update={"key_share": True})
        if row is None:
            raise errors.UnknownPool(pool.id)
        tags = made(of(row))
        try:
            check_tags(tags)
        except errors.UserPoolTagging as refused:  # a word that the model has for pools, and not for tags alone
            raise errors.InvalidParameter(refused.message, field="tags") from None
        row.settings = {**row.settings, "user_pool_tags": tags}
        env.configuration_changed()
