"""The installation of a test, as it is examined."""

from collections.abc import Callable

import pytest
from flask import Flask

from app.config import Settings
from app.doctor.subject import Subject
from tests.conftest import Clock


@pytest.fixture
def subject(app: Flask, settings: Settings, clock: Clock) -> Subject:
    return Subject(settings, clock, app)


@pytest.fixture
def unopened(clock: Clock) -> Callable[[Settings], Subject]:
    """Makes subjects without an application."""

    def make(settings: Settings) -> Subject:
        return Subject(settings, clock, unopened="The database is on holiday.")

    return make
