"""Settings that are allowed, and are not what an installation should have."""

from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.doctor import configuration
from app.doctor.finding import ADVICE, FINE, PROBLEM
from app.doctor.subject import Subject
from tests.conftest import START

SOUND: dict[str, Any] = {"base_url": "https://auth.example.com", "trusted_proxies": 1}


@pytest.mark.parametrize(
    ("given", "name", "state"),
    [
        ({}, "settings", FINE),
        ({"trusted_proxies": 0}, "trusted-proxies", PROBLEM),
        ({"trusted_proxies": 0, "tls_certificate": Path("c"), "tls_key": Path("k")}, "settings", FINE),
        ({"host": "0.0.0.0"}, "listening", ADVICE),
        ({"base_url": "http://localhost:8080"}, "base-url", ADVICE),
        ({"mode": "development"}, "mode", ADVICE),
        ({"log_level": "debug"}, "log-level", ADVICE),
        ({"sign_ups_per_network": 0}, "limits", ADVICE),
        ({"codes_per_address": 0}, "limits", ADVICE),
        ({"domain_proof": "off"}, "domain-proof", ADVICE),
        ({"argon2_memory_kib": 12288, "argon2_time": 3, "argon2_parallelism": 1}, "argon2", ADVICE),
    ],
)
def test_a_setting(given: dict[str, Any], name: str, state: str) -> None:
    (found,) = configuration.check(Subject(Settings(**{**SOUND, **given}), lambda: START))
    assert (found.name, found.state) == (name, state)
    assert bool(found.fix) == (state != FINE)
