"""The family of refusals is the model's: one class per error, called by its name, and no other."""

import inspect

from app import errors
from app.api import errors as drawing
from app.api import registry
from app.errors import Refusal, ServiceUnavailable

OURS = {ServiceUnavailable}
"""What the model has no error for."""


def refusals() -> list[type[Refusal]]:
    return [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Refusal)]


def test_every_error_of_the_model_has_its_class_and_every_class_its_error() -> None:
    in_model = {name for name, shape in registry.MODEL["shapes"].items() if shape.get("exception")}
    named = {drawing.name(one()) for one in refusals() if Refusal in one.__bases__ and one not in OURS}
    assert named == in_model
    assert not in_model & {drawing.name(one()) for one in OURS}


def test_a_finer_reason_has_the_code_of_the_coarser() -> None:
    finer = [one for one in refusals() if one is not Refusal and Refusal not in one.__bases__]
    assert finer
    for one in finer:
        assert one.code == one.__base__.code != ""  # type: ignore[union-attr]


def test_what_only_the_door_knows_is_not_in_the_model() -> None:
    in_model = {name for name, shape in registry.MODEL["shapes"].items() if shape.get("exception")}
    here = {
        drawing.name(one())
        for _, one in inspect.getmembers(drawing, inspect.isclass)
        if issubclass(one, Refusal) and one is not Refusal
    }
    assert here and not here & in_model


def test_only_faults_of_our_own_are_a_500() -> None:
    faults = {name for name, shape in registry.MODEL["shapes"].items() if shape.get("fault")}
    assert faults == {f"{code}Exception" for code, status in drawing.STATUS.items() if status == 500}
