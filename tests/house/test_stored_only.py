"""docs/cognito.md lists every setting that is stored and described, and that nothing acts on.

What is stored only is found in the code: a setting's name, in our own words, stands in no module but those that take
settings, check and describe them. A setting that something begins to read leaves the list, and one that nothing reads
cannot be taken without standing there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from app.api.registry import MODEL, own_word

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "cognito.md"
TAKING = ("app/api/", "app/cli/", "app/pools/", "app/demo/", "app/doctor/")
"""Where settings are taken, checked, changed and described, and not acted on."""
OF_ROWS = {
    "SetUICustomization": "UICustomization",
    "CreateManagedLoginBranding": "ManagedLoginBranding",
    "CreateTerms": "Terms",
    "SetLogDeliveryConfiguration": "log_delivery_configuration",
}
"""Operations that write one thing of their own, and its name in the code."""
OF_SETTINGS = (
    "CreateUserPool",
    "SetUserPoolMfaConfig",
    "SetUserPoolSessionConfiguration",
    "CreateUserPoolClient",
    "SetUserPoolClientSessionConfiguration",
)
"""Operations whose members become settings of a pool or a client."""
ELSEWHERE = {
    "AccessTokenValidity": "access_validity",
    "AttributeDataType": "kind",
    "ClientName": "name",
    "DeveloperOnlyAttribute": "DEVELOPER",
    "EmailVerificationMessage": "email_message",
    "EmailVerificationSubject": "email_subject",
    "GenerateSecret": "confidential",
    "IdTokenValidity": "id_validity",
    "LambdaArn": "demand_no_trigger",
    "MaxLength": "longest",
    "MaxValue": "greatest",
    "MinLength": "shortest",
    "MinValue": "least",
    "NumberAttributeConstraints": "least",
    "PoolName": "name",
    "RefreshTokenValidity": "refresh_validity",
    "Schema": "attributes",
    "SmsMfaConfiguration": "sms_mfa",
    "SmsVerificationMessage": "sms_message",
    "StringAttributeConstraints": "shortest",
    "UnusedAccountValidityDays": "temporary_password_validity_days",
    "UserPoolId": "pool_id",
}
"""Members that are acted on by another name than their own."""


@cache
def words(*, models: bool = True) -> frozenset[str]:
    """All texts and names in the modules that act, with or without what only declares tables."""
    found: set[str] = set()
    for path in (ROOT / "app").rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(TAKING) or (not models and place.startswith("app/models/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str() as text):
                    found.add(text)
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    found.add(name)
    return frozenset(found)


def unread(shape: str, path: str = "") -> Iterator[str]:
    """Members that no acting module names; of a structure that none names, only itself."""
    given: dict[str, Any] = MODEL["shapes"][shape]
    if given["type"] == "list":
        yield from unread(given["member"]["shape"], path)
    if given["type"] != "structure":
        return
    for member, of in given["members"].items():
        here = f"{path}.{member}" if path else member
        if ELSEWHERE.get(member, own_word(member)) in words():
            yield from unread(of["shape"], here)
        else:
            yield here


def in_the_code() -> set[tuple[str, str]]:
    """(operation, member), the member empty for all of an operation."""
    found = {(operation, "") for operation, name in OF_ROWS.items() if name not in words(models=False)}
    for operation in OF_SETTINGS:
        found |= {(operation, path) for path in unread(MODEL["operations"][operation]["input"]["shape"])}
    return found


def in_the_document() -> set[tuple[str, str]]:
    section = DOCUMENT.read_text().partition("\n## Stored only\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (?:`([\w.]+)`|all) \|", section)
    assert len(rows) == len(set(rows)) > 0
    return set(rows)


def test_what_nothing_acts_on_is_listed() -> None:
    missing = in_the_code() - in_the_document()
    assert not missing, f"stored only, and not in docs/cognito.md: {sorted(missing)}"


def test_what_is_listed_is_acted_on_by_nothing() -> None:
    acted_on = in_the_document() - in_the_code()
    assert not acted_on, (
        f"docs/cognito.md says that these are stored only, and something reads them: {sorted(acted_on)}"
    )


def test_an_update_takes_no_setting_that_a_creation_does_not() -> None:
    """Or it would have to be looked at too."""
    for kind, own in (("UserPool", {"UserPoolId"}), ("UserPoolClient", {"ClientId"})):
        made, changed = (
            set(MODEL["shapes"][MODEL["operations"][f"{verb}{kind}"]["input"]["shape"]]["members"])
            for verb in ("Create", "Update")
        )
        assert changed - made <= own
