"""To and from the wire."""

from datetime import UTC, datetime

import pytest

from app import errors
from app.api import registry, wire
from app.messaging.messages import Delivery

CREATE = registry.structure("CreateUserPoolRequest")
POOL = registry.structure("UserPoolType")
CLIENT = registry.structure("UserPoolClientType")


def test_settings_are_translated_at_every_depth_and_back() -> None:
    given = {
        "PoolName": "p",
        "Policies": {"PasswordPolicy": {"MinimumLength": 8, "RequireSymbols": False}},
        "AliasAttributes": ["email"],
        "Schema": [{"Name": "tier", "StringAttributeConstraints": {"MinLength": "1"}}],
        "UserPoolTags": {"CostCenter": "R&D", "team_name": "x"},
        "AcrConfiguration": {"Level1": {"AcrValue": "bronze"}},
        "AdminCreateUserConfig": {"InviteMessageTemplate": {"SMSMessage": "{username} {####}"}},
    }
    inside = wire.inward(CREATE, given)
    assert inside == {
        "pool_name": "p",
        "policies": {"password_policy": {"minimum_length": 8, "require_symbols": False}},
        "alias_attributes": ["email"],
        "schema": [{"name": "tier", "string_attribute_constraints": {"min_length": "1"}}],
        "user_pool_tags": {"CostCenter": "R&D", "team_name": "x"},
        "acr_configuration": {"Level1": {"acr_value": "bronze"}},
        "admin_create_user_config": {"invite_message_template": {"sms_message": "{username} {####}"}},
    }
    assert wire.outward(CREATE, inside) == given


def test_oauth_is_one_word_inside() -> None:
    inside = {"allowed_oauth_flows": ["code"], "allowed_oauth_flows_user_pool_client": True, "callback_urls": ["x"]}
    assert wire.outward(CLIENT, inside) == {
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "CallbackURLs": ["x"],
    }


def test_what_the_shape_does_not_know_stays_inside() -> None:
    assert wire.outward(POOL, {"attributes": [{"name": "email"}], "mfa_configuration": "OFF"}) == {
        "MfaConfiguration": "OFF"
    }


def test_false_zero_and_nothing_at_all_are_told_none_is_not() -> None:
    inside = {"lambda_config": {}, "admin_create_user_config": {"allow_admin_create_user_only": False}, "domain": None}
    assert wire.outward(POOL, inside) == {
        "LambdaConfig": {},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
    }


def test_attributes_become_a_dictionary_and_the_last_of_two_counts() -> None:
    given = [{"Name": "name", "Value": "A"}, {"Name": "email", "Value": ""}, {"Name": "name", "Value": "B"}]
    assert wire.attributes(given) == {"name": "B", "email": ""}
    assert wire.attributes(None) == {}


def test_an_attribute_without_value_is_refused() -> None:
    with pytest.raises(errors.InvalidParameter, match="Attribute value for picture must not be null"):
        wire.attributes([{"Name": "picture"}])


def test_attributes_become_a_list_in_their_order() -> None:
    values = {"sub": "1", "email": "a@b", "name": "A"}
    assert wire.attribute_list(values, {"name", "sub", "birthdate"}) == [
        {"Name": "sub", "Value": "1"},
        {"Name": "name", "Value": "A"},
    ]
    assert len(wire.attribute_list(values)) == 3


def test_a_moment_has_milliseconds() -> None:
    assert wire.moment(datetime(2016, 8, 1, 22, 57, 11, 965_432, tzinfo=UTC)) == 1470092231.965


def test_a_delivery_is_absent_where_nothing_was_sent() -> None:
    assert wire.delivery(None) == {}
    assert wire.delivery(Delivery("email", "EMAIL", "t***@e***")) == {
        "CodeDeliveryDetails": {"AttributeName": "email", "DeliveryMedium": "EMAIL", "Destination": "t***@e***"}
    }
