"""The key of an installation, and its certificate: made once, kept to oneself, and missed before anything is served."""

import base64
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from flask import Flask

from app import config, installation
from app.config import Settings, SettingsError
from app.env import Env
from tests.conftest import KEY, test_settings

ROOT = Path(__file__).parents[1]
ENCODED = base64.b64encode(KEY).decode()


def on_a_laptop(directory: Path, **other: object) -> Settings:
    return Settings(data_dir=directory, **other)  # type: ignore[arg-type]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def a_careless_umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def somebody_else() -> Iterator[None]:
    """As a user who is not root, to whom permissions apply."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


# -- the key ---------------------------------------------------------------------------------------------------


def test_a_first_start_makes_key_and_database_for_their_owner_only(tmp_path: Path) -> None:
    settings = on_a_laptop(tmp_path / "new" / "data")
    with a_careless_umask(0):
        installation.prepare(settings)
    first = installation.key(settings)
    installation.prepare(on_a_laptop(tmp_path / "other"))
    assert len(first) == 32 and first != installation.key(on_a_laptop(tmp_path / "other"))
    assert mode(settings.data_dir) == 0o700
    assert {path.name: mode(path) for path in settings.data_dir.iterdir()} == {"key": 0o600, "cognate.sqlite": 0o600}
    installation.prepare(settings)
    assert installation.key(settings) == first


def test_the_database_file_is_for_its_owner_only_too(tmp_path: Path, another_app: Callable[..., Flask]) -> None:
    """Also in a directory that was there before, and open to all."""
    tmp_path.chmod(0o755)
    with a_careless_umask(0):
        settings = Settings(data_dir=tmp_path, key=KEY)
        installation.prepare(settings)
        app = another_app(settings)
        installation.migrate(app, app.extensions["cognate"].seal)
    found = {path.name: mode(path) for path in tmp_path.iterdir()}
    assert found.pop("cognate.sqlite") == 0o600
    assert all(each == 0o600 for each in found.values()), found


@pytest.mark.slow
def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from app import installation; from app.config import Settings\n"
        "sys.stdin.read()\n"
        "settings = Settings(data_dir=Path(sys.argv[1]))\n"
        "installation.prepare(settings)\n"
        "print(installation.key(settings).hex())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "data")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in running:
        assert process.stdin
        process.stdin.close()  # the start, for those that have finished their imports
        process.stdin = None
    said = {process.communicate(timeout=60)[0] for process in running}
    assert len(said) == 1 and len(said.pop().strip()) == 64
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["cognate.sqlite", "key"]


def test_a_given_key_needs_no_file(tmp_path: Path) -> None:
    assert installation.key(on_a_laptop(tmp_path / "none", key=KEY)) == KEY
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", [ENCODED, ENCODED + "\n", f"  {ENCODED}\r\n"])
def test_a_key_file_may_end_as_editors_end_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    assert installation.key(on_a_laptop(tmp_path / "none", key_file=tmp_path / "secret")) == KEY


@pytest.mark.parametrize(
    "content", [b"", b"\n", ENCODED[:-4].encode(), KEY, b"\xff\xfe", ENCODED.encode() * 2, b"not base64!"]
)
def test_a_file_that_is_no_key_is_refused_by_name_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        installation.key(on_a_laptop(tmp_path, key_file=path))
    assert str(refused.value) == f"The key file {path} must hold 32 bytes in base64 (openssl rand -base64 32)."


def test_a_key_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A typo would otherwise make a new key, and nothing could be opened with it."""
    with pytest.raises(SettingsError, match="The key file .*/keey cannot be read: No such file or directory."):
        installation.key(on_a_laptop(tmp_path, key_file=tmp_path / "keey"))
    with pytest.raises(SettingsError, match="cannot be read: Is a directory."):
        installation.key(on_a_laptop(tmp_path, key_file=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/dev/null/data", "/proc/cognate"])
def test_a_data_directory_that_cannot_be_made_is_named(place: str) -> None:
    with pytest.raises(SettingsError, match=f"COGNATE_DATA_DIR: {place} cannot be made: "):
        installation.prepare(on_a_laptop(Path(place)))
    with pytest.raises(SettingsError, match=f"COGNATE_DATA_DIR {place} cannot be written to: "):
        installation.prepare(on_a_laptop(Path(place), database_url="sqlite:////dev/null"))


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path, another_app: Callable[..., Flask]) -> None:
    (tmp_path / "data").write_text("")
    settings = on_a_laptop(tmp_path / "data")
    with pytest.raises(SettingsError, match="COGNATE_DATA_DIR: .*/data cannot be made: (File exists|Not a directory)."):
        installation.prepare(settings)
    for attempt in (installation.key, another_app):
        with pytest.raises(SettingsError, match="The data directory .*/data .COGNATE_DATA_DIR. has no "):
            attempt(settings)


def test_a_data_directory_of_somebody_else_is_named(tmp_path: Path, another_app: Callable[..., Flask]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "key").write_text(ENCODED)
    if os.geteuid():
        closed.chmod(0)
    settings = on_a_laptop(closed)
    with somebody_else():
        with pytest.raises(SettingsError, match="COGNATE_DATA_DIR: .*/closed.* cannot be made: Perm"):
            installation.prepare(settings)
        with pytest.raises(SettingsError, match="The database file .*/closed/cognate.sqlite cannot be used: Perm"):
            another_app(settings)
        with pytest.raises(SettingsError, match="The key file .*/closed/key cannot be read: Perm"):
            installation.key(settings)
    closed.chmod(0o700)


# -- a directory that is not the installation's ----------------------------------------------------------------


def test_whatever_only_reads_leaves_nothing_in_a_wrong_directory(
    tmp_path: Path, another_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where `var` is another one than it was for who made the installation
    with pytest.raises(SettingsError) as refused:
        another_app(Settings())
    assert str(refused.value) == (
        f"The data directory {tmp_path}/var (COGNATE_DATA_DIR) has no database: name the right one, or run "
        "`cognate migrate` for a new installation."
    )
    with pytest.raises(SettingsError, match=f"The database file {tmp_path}/there.sqlite .COGNATE_DATABASE_URL. does"):
        another_app(config.read({"COGNATE_DATABASE_URL": "sqlite:///there.sqlite"}))
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_its_key_is_refused_and_no_key_is_made(
    settings: Settings, tmp_path: Path, another_app: Callable[..., Flask]
) -> None:
    """On PostgreSQL the database is found from everywhere. A key that a migration made beside it would be a wrong one,
    and would be in the way of the right one."""
    elsewhere = replace(settings, key=b"", data_dir=tmp_path / "elsewhere")
    for attempt in (another_app, installation.prepare):
        with pytest.raises(SettingsError) as refused:
            attempt(elsewhere)
        assert str(refused.value).startswith(f"The data directory {tmp_path}/elsewhere (COGNATE_DATA_DIR) has no key: ")
    assert not (tmp_path / "elsewhere").exists()


# -- what the key opens ----------------------------------------------------------------------------------------


def test_the_wrong_key_is_refused_before_anything_is_served(
    app: Flask, settings: Settings, another_app: Callable[..., Flask]
) -> None:
    with pytest.raises(SettingsError, match="The key is not the one that this database was made with") as refused:
        another_app(test_settings(settings.database_url, key=bytes(32), data_dir=settings.data_dir))
    assert "restore the right one" in str(refused.value) and "\n" not in str(refused.value)
    installation.demand_ready(another_app(settings))


def test_every_process_opens_the_same_secrets(env: Env, settings: Settings, another_app: Callable[..., Flask]) -> None:
    again = another_app(settings)
    other: Env = again.extensions["cognate"]
    assert other.keyed.digest("code", "123456") == env.keyed.digest("code", "123456")
    assert env.keyed.digest("code", "123456") != env.keyed.digest("token", "123456")


def test_two_installations_have_nothing_in_common(tmp_path: Path, another_app: Callable[..., Flask]) -> None:
    """Even with one key: their hashes are made with secrets of their own."""
    digests = set()
    for name in "ab":
        settings = Settings(data_dir=tmp_path / name, key=KEY)
        installation.prepare(settings)
        app = another_app(settings)
        assert app.secret_key is None
        with pytest.raises(SettingsError, match="has not been migrated; run `cognate migrate`"):
            app.extensions["cognate"].keyed.digest("code", "123456")
        installation.migrate(app, app.extensions["cognate"].seal)
        opened = another_app(settings)
        digests |= {opened.extensions["cognate"].keyed.digest("code", "123456"), opened.secret_key}
    assert len(digests) == 4


# -- TLS -------------------------------------------------------------------------------------------------------


def self_signed(directory: Path, base_url: str = "") -> Settings:
    return Settings(mode="development", tls="self-signed", data_dir=directory, base_url=base_url, port=8443)


def test_a_certificate_of_our_own_is_made_once(tmp_path: Path) -> None:
    with a_careless_umask(0):
        certificate, key = installation.tls_files(self_signed(tmp_path))
    assert certificate and key and mode(key) == 0o600
    first = certificate.read_bytes(), key.read_bytes()
    assert installation.tls_files(self_signed(tmp_path)) == (certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == first
    ssl.create_default_context().load_cert_chain(certificate, key)


def test_it_is_for_localhost_the_base_url_and_the_domains_of_pools(tmp_path: Path) -> None:
    certificate, _ = installation.tls_files(self_signed(tmp_path, "https://auth.example.test:8443"))
    assert certificate
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "*.localhost", "auth.example.test", "*.auth.example.test"} == set(
        names.get_values_for_type(x509.DNSName)
    )
    assert {"127.0.0.1", "::1"} == {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert timedelta(days=364) < found.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)


def test_it_is_for_an_address_too(tmp_path: Path) -> None:
    certificate, _ = installation.tls_files(self_signed(tmp_path, "https://[fd00::1]:8443"))
    assert certificate
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "fd00::1" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def test_a_certificate_that_has_run_out_or_was_half_written_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LongAgo(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2020, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(installation, "datetime", LongAgo)
    certificate, key = installation.tls_files(self_signed(tmp_path))
    assert certificate and key
    old = certificate.read_bytes()
    monkeypatch.undo()
    installation.tls_files(self_signed(tmp_path))
    new = certificate.read_bytes()
    assert new != old
    certificate.write_bytes(new[:100])
    installation.tls_files(self_signed(tmp_path))
    assert x509.load_pem_x509_certificate(certificate.read_bytes())
    ssl.create_default_context().load_cert_chain(certificate, key)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = installation.tls_files(self_signed(tmp_path / "pair"))
    assert certificate and key
    return certificate, key


def test_a_given_certificate_is_used(pair: tuple[Path, Path]) -> None:
    assert installation.tls_files(Settings(tls_certificate=pair[0], tls_key=pair[1])) == pair
    assert installation.tls_files(Settings()) == (None, None)


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    other = installation.tls_files(self_signed(tmp_path / "other"))[1]
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password that nobody could be asked for"),
        )
    )
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(SettingsError, match="The TLS file .*/missing.pem cannot be read."):
        installation.tls_files(Settings(tls_certificate=certificate, tls_key=tmp_path / "missing.pem"))
    for wrong in ((certificate, other), (key, certificate), (certificate, locked), (tmp_path / "empty.pem", key)):
        with pytest.raises(SettingsError, match="are no pair: expected a PEM certificate chain and its private key"):
            installation.tls_files(Settings(tls_certificate=wrong[0], tls_key=wrong[1]))
