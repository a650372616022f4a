"""Listing and searching users, a page at a time (reference: 4.9).

Every search is a walk along one index, from a place, so that a page costs the same wherever it is and however many
users there are: tests/accounts/test_search.py reads the plans of both databases.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import InstrumentedAttribute

from app import errors
from app.env import Env
from app.models import Pool, User
from app.models.user import SEARCHED
from app.paging import Page, page
from app.policy.attributes import LONGEST_KEY, search_key
from app.policy.filters import Filter, malformed, successor

PAGE = 60
STATUSES = (
    "UNCONFIRMED",
    "CONFIRMED",
    "ARCHIVED",
    "COMPROMISED",
    "UNKNOWN",
    "RESET_REQUIRED",
    "FORCE_CHANGE_PASSWORD",
    "EXTERNAL_PROVIDER",
)
"""All that a user's status can be (reference: 4.1)."""
ENABLED = {"Enabled": True, "Disabled": False}
"""What a filter calls `status`; what everything else calls so is its `cognito:user_status`."""

_DAWN = datetime.min.replace(tzinfo=UTC)
_LEAST_UUID, _GREATEST_UUID = (f"{8 * d}-{4 * d}-{4 * d}-{4 * d}-{12 * d}" for d in "0f")


@dataclass(frozen=True)
class _Walk:
    """Along which index, from where, how far."""

    by: tuple[InstrumentedAttribute[Any], ...]
    where: tuple[ColumnElement[bool], ...] = ()
    after: tuple[Any, ...] | None = None
    """The place before the first user (app.paging)."""


_BY_AGE = (User.created_at, User.sub)


def users(
    env: Env, pool: Pool, *, wanted: Filter | None = None, limit: int | None = None, token: str | None = None
) -> Page[User]:
    """One page of all users, or of those that are wanted. The order is not promised: by age, or by what is searched.

    Raises errors.InvalidParameter for an attribute that cannot be searched, for a filter that cannot be decided, and
    for a token that is not of this list.
    """
    walk = _Walk(by=_BY_AGE) if wanted is None else _walk(pool, wanted)
    return page(
        env,
        select(User).where(User.pool_id == pool.id, *walk.where),
        by=walk.by,
        after=walk.after,
        size=limit or PAGE,
        token=token,
        about=f"users of {pool.id}" + (f" where {wanted}" if wanted else ""),
    )


def check_attributes(pool: Pool, names: Collection[str]) -> None:
    """Refuse to show what no user of the pool can have. Raises errors.InvalidParameter.

    (A user who lacks what another has is shown without it. The service refuses the whole page then, by its
    documentation, which no caller can foresee.)
    """
    if not pool.schema.keys() >= set(names):
        raise errors.InvalidParameter("One or more requested attributes do not exist.", field="attributes_to_get")


def _walk(pool: Pool, wanted: Filter) -> _Walk:
    match wanted.attribute:
        case "username" if pool.case_sensitive:
            return _text(User.username, wanted.value, wanted.prefix)
        case "username":
            return _folded(User.username_key, wanted)
        case "phone_number":
            return _text(User.phone_number, wanted.value, wanted.prefix)
        case "sub":
            return _sub(wanted.value.lower(), wanted.prefix)
        case "status":
            return _enabled(wanted)
        case "cognito:user_status" | "user_status":
            return _status(wanted)
        case attribute if attribute in SEARCHED:
            return _folded(getattr(User, f"{attribute}_key"), wanted)
    raise errors.InvalidParameter(f"Invalid search attribute: {wanted.attribute}", field="filter")


def _folded(column: InstrumentedAttribute[Any], wanted: Filter) -> _Walk:
    """Whatever the letter case. Raises errors.InvalidParameter."""
    key = search_key(wanted.value)
    # Keys end there, so that two which are as long may differ in what is not seen of them.
    if len(key) == LONGEST_KEY:
        raise malformed()
    return _text(column, key, wanted.prefix)


def _text(column: InstrumentedAttribute[Any], value: str, prefix: bool) -> _Walk:
    if not prefix:
        return _Walk(by=(User.sub,), where=(column == value,))
    end = successor(value)
    # Either condition says that there is a value: the index has only those.
    where = column.is_not(None) if end is None else column < end
    return _Walk(by=(column, User.sub), where=(where,), after=(value, ""))


def _sub(value: str, prefix: bool) -> _Walk:
    """All that begin alike lie between two: uuids are of one form. (Not bytewise, so without a `successor`; but every
    language has 0 before f, and all have their hyphens in the same places.)"""
    least, greatest = (value + uuid[len(value) :] for uuid in (_LEAST_UUID, _GREATEST_UUID))
    if not prefix or len(value) == len(greatest):
        return _Walk(by=(User.sub,), where=(User.sub == value,))
    if not _is_uuid(greatest):
        return _nobody()
    return _Walk(by=(User.sub,), where=(User.sub <= greatest,), after=(least[:-1],))


def _is_uuid(text: str) -> bool:
    if len(text) != len(_LEAST_UUID):
        return False
    return all(
        c == "-" if known == "-" else c in "0123456789abcdef" for c, known in zip(text, _LEAST_UUID, strict=True)
    )


def _enabled(wanted: Filter) -> _Walk:
    found = [enabled for word, enabled in ENABLED.items() if _matches(word, wanted.value, wanted.prefix)]
    if len(found) == len(ENABLED):
        return _Walk(by=_BY_AGE)
    return _Walk(by=_BY_AGE, where=(User.enabled == found[0],)) if found else _nobody()


def _status(wanted: Filter) -> _Walk:
    value = search_key(wanted.value)
    found = sorted(status for status in STATUSES if _matches(search_key(status), value, wanted.prefix))
    if len(found) == len(STATUSES):
        return _Walk(by=_BY_AGE)
    if not found:
        return _nobody()
    if len(found) == 1:
        return _Walk(by=_BY_AGE, where=(User.status == found[0],))
    # Those with a beginning in common are neighbours, in any language's order: one after the other, each by age.
    return _Walk(by=(User.status, *_BY_AGE), where=(User.status <= found[-1],), after=(found[0], _DAWN, ""))


def _matches(known: str, value: str, prefix: bool) -> bool:
    return known.startswith(value) if prefix else known == value


def _nobody() -> _Walk:
    return _Walk(by=_BY_AGE, where=(false(),))
