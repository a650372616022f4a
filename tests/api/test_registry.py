"""Declaring an operation, and what the model says of it."""

from collections import Counter
from typing import Any

import pytest

from app import errors
from app.api import registry
from app.api.registry import ContractBroken, Operation, operation


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> dict[str, Operation]:
    """Declarations of this test's own."""
    found: dict[str, Operation] = {}
    monkeypatch.setattr(registry, "OPERATIONS", found)
    return found


def an(name: str) -> Operation:
    return Operation(name, lambda call: None)


def test_a_declaration_is_a_name_above_a_function(declared: dict[str, Operation]) -> None:
    @operation("ListUserPoolClients")
    def list_user_pool_clients(call: Any) -> None: ...

    assert declared["ListUserPoolClients"].run is list_user_pool_clients


def test_a_name_that_the_model_lacks_is_refused(declared: dict[str, Operation]) -> None:
    with pytest.raises(LookupError, match="no operation ListUserpools"):

        @operation("ListUserpools")
        def list_userpools(call: Any) -> None: ...


def test_a_second_declaration_is_refused(declared: dict[str, Operation]) -> None:
    def sign_up(call: Any) -> None: ...

    operation("SignUp")(sign_up)
    with pytest.raises(LookupError, match="declared twice"):
        operation("SignUp")(sign_up)


def test_a_function_of_another_name_is_refused(declared: dict[str, Operation]) -> None:
    with pytest.raises(LookupError, match="called get_csv_header"):

        @operation("GetCSVHeader")
        def get_header(call: Any) -> None: ...


def test_who_may_call_stands_in_the_model() -> None:
    counted = Counter(an(name).who for name in registry.NAMES)
    assert counted == {"signed": 105, "token": 24, "client": 11, "bearer": 1}
    assert an("UpdateAuthEventFeedback").who == "bearer"
    assert an("GetClientToken").who == "client", "which its model forgot to say"


def test_all_names_become_distinct_functions() -> None:
    functions = {registry.xform_name(name) for name in registry.NAMES}
    assert len(functions) == len(registry.NAMES) == 141
    assert all(function.isidentifier() for function in functions)


def test_our_own_words_are_distinct_in_every_structure() -> None:
    for name, shape in registry.MODEL["shapes"].items():
        if shape["type"] == "structure" and not shape.get("document"):
            words = [member.own for member in registry.structure(name).members.values()]
            assert len(set(words)) == len(words), name


def test_our_own_words_are_those_of_the_house() -> None:
    assert registry.own_word("AllowedOAuthFlowsUserPoolClient") == "allowed_oauth_flows_user_pool_client"
    assert registry.own_word("CallbackURLs") == "callback_urls"
    assert registry.own_word("DefaultRedirectURI") == "default_redirect_uri"
    assert registry.own_word("SMSMessage") == "sms_message"


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("GetUser", {"Username": "u"}),
        ("GetUser", {"Username": 5, "UserAttributes": []}),
        ("GetUser", {"Username": "u", "UserAttributes": [], "Colour": "red"}),
        ("GetUser", None),
        ("DeleteUserPool", {"Id": "x"}),
        ("ConfirmSignUp", {"Done": True}),
    ],
)
def test_a_reply_of_another_shape_is_noticed(name: str, reply: Any) -> None:
    with pytest.raises(ContractBroken):
        registry.check_reply(an(name), reply)


def test_a_reply_of_the_right_shape_passes() -> None:
    registry.check_reply(an("GetUser"), {"Username": "u", "UserAttributes": []})
    registry.check_reply(an("ConfirmSignUp"), {})
    registry.check_reply(an("DeleteUserPool"), None)


def test_a_refusal_that_the_model_does_not_list_is_noticed() -> None:
    with pytest.raises(ContractBroken):
        registry.check_refusal(an("SignUp"), errors.CodeMismatch())
    registry.check_refusal(an("SignUp"), errors.SignUpClosed())
    registry.check_refusal(an("SignUp"), errors.TooManyRequests())


def test_which_operations_need_no_access_key_is_known_before_any_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cognate rules check` loads none of them."""
    declared = {name for name, one in registry.OPERATIONS.items() if one.who != "signed"}
    monkeypatch.setattr(registry, "OPERATIONS", {})
    found = registry.unsigned()
    assert declared <= found and {"SignUp", "InitiateAuth", "GetUser"} <= found
    assert not {"AdminGetUser", "UpdateUserPool"} & found
