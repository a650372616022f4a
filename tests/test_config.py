"""Settings: what a laptop runs on, what an operator may get wrong, and what production refuses."""

import base64
import dataclasses
import re
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app import config
from app.config import PREFIX, Settings, SettingsError

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"
KEY = base64.b64encode(bytes(range(32))).decode()
WORTH_STEALING = "hunter2-hunter2"


def read(**given: str) -> Settings:
    return config.read({f"{PREFIX}{name.upper()}": value for name, value in given.items()})


def refused(**given: str) -> str:
    with pytest.raises(SettingsError) as wrong:
        read(**given)
    said = str(wrong.value)
    assert said and "\n" not in said and said.endswith(".")
    return said


def test_a_laptop_needs_no_setting_at_all() -> None:
    settings = config.read({"PATH": "/bin", "HOME": "/root"})
    assert settings.mode == "production" and not settings.development
    assert settings.base_url == "http://localhost:8080"
    assert settings.database_url == f"sqlite:///{Path('var').resolve()}/cognate.sqlite"
    assert (settings.host, settings.port, settings.trusted_proxies) == ("127.0.0.1", 8080, 0)
    assert (settings.argon2_memory_kib, settings.argon2_time, settings.argon2_parallelism) == (19456, 2, 1)
    assert settings.access_log and not settings.https


def test_an_empty_value_is_the_default() -> None:
    assert read(**{field.name: "" for field in dataclasses.fields(Settings)}) == Settings()


def test_settings_are_read_once_and_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mode", "development", "development"),
        ("data_dir", "/srv/x", Path("/srv/x")),
        ("data_dir", "~/x", Path("~/x").expanduser()),
        ("database_url", "postgresql://u:p%40@h:5/d", "postgresql+psycopg://u:p%40@h:5/d"),
        ("database_url", "postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("database_url", "postgresql:///d?host=/run/pg", "postgresql+psycopg:///d?host=%2Frun%2Fpg"),
        (
            "database_url",
            "postgresql://u:p%40@h1:5433,h2/d?target_session_attrs=read-write",
            "postgresql+psycopg://u:p%40@/d?host=h1%2Ch2&port=5433%2C5432&target_session_attrs=read-write",
        ),
        ("database_url", "postgresql://[::1]:5,h2:6/d", "postgresql+psycopg:///d?host=%3A%3A1%2Ch2&port=5%2C6"),
        ("database_url", "sqlite:////srv/x.sqlite", "sqlite:////srv/x.sqlite"),
        ("database_lock_timeout", "0.5", 0.5),
        ("database_lock_timeout", "0", 0.0),
        ("database_pool", "20", 20),
        ("key", KEY, bytes(range(32))),
        ("key_file", "/run/secrets/key", Path("/run/secrets/key")),
        ("host", "::1", "::1"),
        ("port", "443", 443),
        ("workers", "3", 3),
        ("threads", "5", 5),
        ("trusted_proxies", "2", 2),
        ("region", "eu-central-1", "eu-central-1"),
        ("region", "us-gov-west-1", "us-gov-west-1"),
        ("account_id", "123456789012", "123456789012"),
        ("theme", "acme", "acme"),
        ("hash_wait", "0.5", 0.5),
        ("drain", "0", 0.0),
        ("drain", "2.5", 2.5),
        ("smtp_from", "no-reply@example.com", "no-reply@example.com"),
        ("access_log", "off", False),
        ("access_log", "TRUE", True),
        ("log_level", "debug", "debug"),
    ],
)
def test_a_value_is_read_as_what_it_means(name: str, value: str, expected: object) -> None:
    found = getattr(read(**{name: value}), name)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "Production"),
        ("mode", " production"),
        ("port", "http"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "8080.0"),
        ("port", "٣"),
        ("port", "9" * 5000),
        ("port", "tcp://10.0.0.1:8080"),
        ("workers", "65"),
        ("threads", "0"),
        ("trusted_proxies", "true"),
        ("hash_wait", "0"),
        ("hash_wait", "0.000"),
        ("hash_wait", "inf"),
        ("hash_wait", "-1"),
        ("region", "us-east-1_x"),
        ("region", "../us-east-1"),
        ("account_id", "12345"),
        ("theme", "../../etc"),
        ("theme", "a/b"),
        ("host", "local host"),
        ("smtp_host", "mail.example.com\nX: y"),
        ("smtp_from", "no-reply"),
        ("smtp_from", "a@example.com\r\nBcc: all@example.com"),
        ("smtp_from", "a@example.com, b@example.com"),
        ("smtp_tls", "ssl"),
        ("access_log", "yes please"),
        ("log_level", "INFO"),
        ("argon2_memory_kib", "1e6"),
        ("tls", "on"),
        ("base_url", "auth.example.com"),
        ("base_url", "ftp://auth.example.com"),
        ("base_url", "https://"),
        ("base_url", "https:///x"),
        ("base_url", "https://auth.example.com/auth"),
        ("base_url", "https://auth.example.com?"),
        ("base_url", "https://auth.example.com/#"),
        ("base_url", "https://user@auth.example.com"),
        ("base_url", "https://:secret@auth.example.com"),
        ("base_url", "https://auth.example.com:0"),
        ("base_url", "https://auth.example.com:99999"),
        ("base_url", "https://auth.example.com:"),
        ("base_url", "https://auth.exam\nple.com"),
        ("base_url", "https://bücher.example"),
        ("base_url", "https://auth.example.com\\@evil.example"),
        ("base_url", "https://[::1"),
        ("base_url", "https://[1:2]"),
        ("base_url", "https://::1"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line_that_names_the_variable(name: str, value: str) -> None:
    said = refused(**{name: value})
    assert said.startswith(f"{PREFIX}{name.upper()} is {value!r}; expected ")


def test_a_name_that_nothing_reads_is_refused_before_somebody_relies_on_it() -> None:
    assert refused(bas_url="https://x") == "COGNATE_BAS_URL is not a setting; docs/settings.md lists them."
    # What Kubernetes puts there for a service called "cognate".
    assert "COGNATE_SERVICE_HOST" in refused(service_host="10.0.0.1")


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("https://auth.example.com/", "https://auth.example.com"),
        ("https://auth.example.com///", "https://auth.example.com"),
        ("HTTPS://Auth.Example.COM", "https://auth.example.com"),
        ("https://auth.example.com:443", "https://auth.example.com"),
        ("https://auth.example.com:0443", "https://auth.example.com"),
        ("https://auth.example.com:8443/", "https://auth.example.com:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
    ],
)
def test_the_base_url_is_kept_in_the_form_that_clients_compare(given: str, normal: str) -> None:
    settings = read(base_url=given)
    assert settings.base_url == normal
    assert settings.base_host == normal.partition("://")[2]
    assert settings.https == normal.startswith("https")


def test_without_a_base_url_it_follows_port_and_tls() -> None:
    assert read(port="9000").base_url == "http://localhost:9000"
    assert read(port="9000", tls="self-signed", mode="development").base_url == "https://localhost:9000"
    assert read(tls_certificate="/c", tls_key="/k").base_url == "https://localhost:8080"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:{}@h/d",
        "postgres://u:{}@h/d",
        "postgresql+psycopg2://u:{}@h/d",
        "postgresql://u:{}@h:port/d",
        "postgresql://u:{}@h1:5432,h2:port/d",
        "postgresql://u:{}@h1,/d",
        "postgresql://u:{}@h1,h2/d?host=h3",
        "postgresql://u:{}@h1,h2/d?port=5432",
        "u:{}@h/d",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///x?mode=ro",
    ],
)
def test_a_database_that_cannot_be_is_refused_without_showing_its_password(url: str) -> None:
    said = refused(database_url=url.format(WORTH_STEALING))
    assert said == "COGNATE_DATABASE_URL is wrong; expected a URL that begins with postgresql:// or sqlite:///."


@pytest.mark.parametrize(
    "url", ["postgresql://u:a@{}@h/d", "postgresql://u:a@{}/b@h/d", "postgresql+psycopg://u:@{}@h/d"]
)
def test_a_password_with_an_at_sign_is_not_taken_for_a_host(url: str) -> None:
    said = refused(database_url=url.format(WORTH_STEALING))
    assert said == "COGNATE_DATABASE_URL is wrong; expected a URL in whose password each @ is written as %40."


def test_a_relative_database_file_is_one_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(database_url="sqlite:///x.sqlite").database_url == f"sqlite:///{tmp_path}/x.sqlite"
    assert read(data_dir="data").database_url == f"sqlite:///{tmp_path}/data/cognate.sqlite"


@pytest.mark.parametrize("name", ["with space", "with?mark", "with#hash", "with%20percent", "mit ümlaut"])
def test_a_data_directory_may_have_any_name(name: str, tmp_path: Path) -> None:
    assert make_url(read(data_dir=f"{tmp_path}/{name}").database_url).database == f"{tmp_path}/{name}/cognate.sqlite"


@pytest.mark.parametrize("value", ["short", KEY[:-4], KEY + KEY, base64.b64encode(b"x" * 31).decode(), "ü" * 44])
def test_a_wrong_key_is_refused_without_showing_it(value: str) -> None:
    assert refused(key=value) == "COGNATE_KEY is wrong; expected 32 bytes in base64 (openssl rand -base64 32)."


def test_no_secret_is_in_the_representation() -> None:
    settings = read(
        key=KEY,
        smtp_host="localhost",
        smtp_username="mailer",
        smtp_password=WORTH_STEALING,
        database_url=f"postgresql://u:{WORTH_STEALING}@h/d",
    )
    shown = repr(settings) + str(settings)
    assert WORTH_STEALING not in shown and repr(settings.key) not in shown
    assert "smtp_username='mailer'" in shown


def test_a_wrong_password_setting_is_not_shown() -> None:
    assert WORTH_STEALING not in refused(smtp_password=WORTH_STEALING + "\n", smtp_username="x", smtp_host="x")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"key": KEY, "key_file": "/k"}, ["KEY", "KEY_FILE"]),
        ({"tls_certificate": "/c"}, ["TLS_CERTIFICATE", "TLS_KEY"]),
        ({"tls_key": "/k"}, ["TLS_CERTIFICATE", "TLS_KEY"]),
        ({"tls": "self-signed", "tls_certificate": "/c", "tls_key": "/k"}, ["TLS", "TLS_CERTIFICATE"]),
        ({"tls_certificate": "/c", "tls_key": "/k", "base_url": "http://localhost"}, ["BASE_URL"]),
        ({"threads": "6", "database_pool": "6"}, ["DATABASE_POOL", "THREADS"]),
        ({"threads": "8", "database_pool": "8"}, ["DATABASE_POOL", "THREADS"]),
        ({"admin_port": "8080"}, ["ADMIN_PORT", "PORT"]),
        ({"sqlite_synchronous": "normal", "database_url": "postgresql://h/d"}, ["SQLITE_SYNCHRONOUS", "DATABASE_URL"]),
        ({"database_statement_timeout": "5"}, ["DATABASE_STATEMENT_TIMEOUT", "DATABASE_URL"]),
        ({"database_idle_in_transaction_timeout": "5"}, ["DATABASE_IDLE_IN_TRANSACTION_TIMEOUT", "DATABASE_URL"]),
        ({"smtp_username": "u", "smtp_password": "p"}, ["SMTP_USERNAME", "SMTP_HOST"]),
        ({"smtp_host": "h", "smtp_password": "p"}, ["SMTP_USERNAME", "SMTP_PASSWORD"]),
        ({"smtp_host": "h", "smtp_username": "u"}, ["SMTP_USERNAME", "SMTP_PASSWORD"]),
    ],
)
@pytest.mark.parametrize("mode", ["development", "production"])
def test_settings_that_contradict_each_other_are_refused(mode: str, given: dict[str, str], names: list[str]) -> None:
    said = refused(mode=mode, **given)
    assert set(re.findall(rf"{PREFIX}([A-Z_]+)", said)) >= set(names)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"tls": "self-signed"}, "TLS"),
        ({"base_url": "http://auth.example.com"}, "BASE_URL"),
        ({"base_url": "http://192.168.0.10:8080"}, "BASE_URL"),
        ({"base_url": "http://localhost.example.com"}, "BASE_URL"),
        ({"base_url": "http://0.0.0.0:8080"}, "BASE_URL"),
        ({"argon2_memory_kib": "64", "argon2_time": "100"}, "ARGON2_MEMORY_KIB"),
        ({"argon2_memory_kib": "19456", "argon2_time": "1"}, "ARGON2_TIME"),
        ({"smtp_host": "mail.example.com", "smtp_tls": "none", "smtp_from": "a@example.com"}, "SMTP_TLS"),
        ({"smtp_host": "mail.example.com"}, "SMTP_FROM"),
    ],
)
def test_production_refuses_what_is_for_development(given: dict[str, str], name: str) -> None:
    assert f"{PREFIX}{name}" in refused(mode="production", **given)
    read(mode="development", **given)


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "http://localhost:8080"},
        {"base_url": "http://127.0.0.1"},
        {"base_url": "http://[::1]:9"},
        {"smtp_host": "localhost", "smtp_tls": "none"},
        {"smtp_host": "mail.example.com", "smtp_from": "a@example.com"},
        # The least of OWASP's choices.
        {"argon2_memory_kib": "7168", "argon2_time": "5"},
        {"argon2_memory_kib": "47104", "argon2_time": "1"},
    ],
)
def test_production_lets_pass_what_is_safe(given: dict[str, str]) -> None:
    assert read(**given).mode == "production"


def test_the_document_lists_exactly_the_settings_with_their_defaults() -> None:
    rows = re.findall(r"(?m)^\| `(COGNATE_\w+)` \| (.*?) \| (.*?) \|$", DOCUMENT.read_text())
    listed = {name: (default, about) for name, default, about in rows}
    assert len(listed) == len(rows), "a setting stands there twice"
    expected = {
        f"{PREFIX}{field.name.upper()}": (shown(field.default), field.metadata["about"])
        for field in dataclasses.fields(Settings)
    }
    assert listed == expected


def shown(default: object) -> str:
    match default:
        case "" | b"" | None | ():
            return "unset"
        case bool():
            return "`on`" if default else "`off`"
        case float():
            return f"`{default:g}`"
    return f"`{default}`"


def test_an_environment_that_was_read_is_left_without_secrets() -> None:
    key = base64.b64encode(bytes(32)).decode()
    environ = {"COGNATE_KEY": key, "COGNATE_DATABASE_URL": "x", "COGNATE_SMTP_PASSWORD": "x", "COGNATE_PORT": "1"}
    config.forget_secrets(environ)
    assert environ == {"COGNATE_PORT": "1"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"trusted_proxies": "1"}, 5.0),
        ({"trusted_proxies": "1", "drain": "0"}, 0.0),
        ({"trusted_proxies": "1", "mode": "development"}, 0.0),
        ({"drain": "30"}, 30.0),
    ],
)
def test_a_proxy_is_given_time_to_notice_that_the_server_stops(given: dict[str, str], seconds: float) -> None:
    assert read(**given).drain_seconds == seconds


def test_all_workers_together_hash_on_every_core_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "cores", lambda: 4)
    assert [read(workers=str(n)).hashes_at_once for n in (1, 2, 3, 4, 8)] == [4, 2, 2, 1, 1]


def test_there_are_connections_for_all_threads() -> None:
    chosen = read(threads="16", workers="1")
    assert chosen.connections > chosen.threads + chosen.password_threads
    assert read(database_pool="40").connections == 40
