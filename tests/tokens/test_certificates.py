"""The certificate of a pool's SAML requests: of a key of its own, one whoever asks, and for ten years."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from sqlalchemy import select

from app import errors
from app.crypto import jose
from app.env import Env
from app.models import SigningKey
from app.pools import user_pools
from app.tokens import certificates, keys
from tests.build import a_pool
from tests.conftest import START


def read(told: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(told, validate=True))


@pytest.mark.parametrize("algorithm", jose.ALGORITHMS)
def test_it_is_of_an_rsa_key_whatever_tokens_are_signed_with(env: Env, algorithm: str) -> None:
    pool = a_pool(env, algorithm=algorithm)
    found = read(certificates.signing(env, pool))
    assert isinstance(found.public_key(), rsa.RSAPublicKey)
    found.verify_directly_issued_by(found)
    assert found.not_valid_before_utc == START
    assert found.not_valid_after_utc - START == timedelta(days=3652)


def test_it_is_the_same_again_out_of_the_database(env: Env) -> None:
    pool = a_pool(env)
    told = certificates.signing(env, pool)
    env.cache.drop()
    assert certificates.signing(env, pool) == told
    assert certificates.signing(env, a_pool(env)) != told


def test_its_key_signs_no_tokens_and_is_not_published(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    before = keys.of(env, pool).jwks
    certificates.signing(env, pool)
    env.cache.drop()
    assert keys.of(env, pool).jwks == before


def test_it_outlives_the_keys_of_tokens(env: Env) -> None:
    pool = a_pool(env, algorithm="ES256")
    told = certificates.signing(env, pool)
    for emergency in (False, True):
        keys.rotate(env, pool, emergency=emergency)
        env.cache.drop()
        assert certificates.signing(env, pool) == told


def test_asked_for_by_many_at_once_it_is_made_once(app: Flask, env: Env) -> None:
    pool = a_pool(env)
    start = threading.Barrier(6)

    def ask(_: int) -> str:
        with app.app_context():
            start.wait()
            return certificates.signing(env, pool)

    with ThreadPoolExecutor(6) as threads:
        told = set(threads.map(ask, range(6)))
    assert len(told) == 1
    with env.reading() as session:
        rows = session.scalars(select(SigningKey).where(SigningKey.pool_id == pool.id)).all()
    assert sorted(row.purpose for row in rows) == ["access", "id", "saml"]


def test_a_deleted_pool_is_given_none(env: Env) -> None:
    pool = a_pool(env)
    user_pools.delete(env, pool)
    with pytest.raises(errors.UnknownPool):
        certificates.signing(env, pool)
