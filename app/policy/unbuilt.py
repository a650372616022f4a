"""What a pool may ask for and this version cannot do: refused where it would have to act, never passed over.

The API stores every setting, because tools describe back what they have set. A setting that protects somebody must
then not be a promise that nobody keeps: a pool whose trigger would have examined a sign-up takes none, and one whose
trigger would have written into tokens gives none out (docs/decisions/006).
"""

from __future__ import annotations

from app import errors
from app.models import Pool
from app.models.pool import TRIGGERS

TOKEN_TRIGGERS = ("pre_token_generation", "pre_token_generation_config")


def demand_no_trigger(pool: Pool, *triggers: str) -> None:
    """Refuse when the pool has one of these triggers, by their names in its LambdaConfig.

    Raises errors.UnexpectedLambda, which is what is said of a trigger that cannot be invoked.
    """
    for trigger in triggers:
        if has_trigger(pool, trigger):
            raise errors.UnexpectedLambda(f"{TRIGGERS[trigger]} invocation failed due to error TriggersNotAvailable.")


def has_trigger(pool: Pool, trigger: str) -> bool:
    return bool((pool.settings.get("lambda_config") or {}).get(trigger))
