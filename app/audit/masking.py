"""What of given parameters is not written down, by their names: passwords, codes, tokens, sessions, and what tells who
somebody is. A door whose interface has a model, as the API's has, knows more of them by that."""

from __future__ import annotations

import re

MASK = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""The word that CloudTrail has for it."""
_SECRET = re.compile(
    r"password|secret|session|token|code|verifier|salt|hash|credential|assertion|cookie|private|signature"
    r"|externalid|filter|username|^user$|^name_or_sub$|e-?mail$|phone|contextdata",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(id|arn|ids|generation)$", re.IGNORECASE)
"""Names of what has an id for everybody to see, such as ClientSecretId; none of them is a secret itself."""
_SECRET_ALL_THE_SAME = re.compile(r"externalid$", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a text of this name is masked."""
    if _SECRET_ALL_THE_SAME.search(name):
        return True
    return _SECRET.search(name) is not None and _PLAIN.search(name) is None
