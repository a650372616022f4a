"""Certificates that clients would refuse, in files and where the base URL leads."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.doctor import tls
from app.doctor.finding import ADVICE, FINE, PROBLEM, SKIPPED, Finding
from app.doctor.subject import Subject
from tests.certificates import TODAY, Made, made, shown, written
from tests.ports import free_port

ROOT = made("Root")
MIDDLE = made("Middle", by=ROOT)
HOST = "localhost"


def of_host(**more: Any) -> Made:
    return made("Server", by=MIDDLE, **{"hosts": [HOST], **more})


def told(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in found]


def examined(certificate: Path, key: Path, port: int, now: datetime = TODAY) -> list[Finding]:
    settings = Settings(mode="development", base_url=f"https://{HOST}:{port}", tls_certificate=certificate, tls_key=key)
    return tls.check(Subject(settings, lambda: now))


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of this machine know the root."""
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))


# -- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([of_host(), MIDDLE], []),
        ([of_host(), MIDDLE, ROOT], []),
        ([of_host(ends=TODAY - timedelta(days=1)), MIDDLE], [("expired", PROBLEM)]),
        ([of_host(ends=TODAY + timedelta(days=20)), MIDDLE], [("expires", ADVICE)]),
        ([of_host(begins=TODAY + timedelta(days=1)), MIDDLE], [("not-yet-valid", PROBLEM)]),
        ([of_host(hosts=["other.example.com"]), MIDDLE], [("name", PROBLEM)]),
        ([of_host()], [("chain", ADVICE)]),
        ([of_host(), ROOT, MIDDLE], [("chain", PROBLEM), ("chain", PROBLEM)]),
        ([of_host(), made("Middle", by=ROOT)], [("chain", PROBLEM)]),
    ],
    ids=["whole", "with root", "expired", "soon", "early", "name", "alone", "order", "another issuer of this name"],
)
def test_a_chain_in_a_file(chain: list[Made], expected: list[tuple[str, str]]) -> None:
    assert told(list(tls.of_chain([one.certificate for one in chain], HOST, TODAY))) == expected


@pytest.mark.parametrize(
    ("hosts", "host", "fits"),
    [
        (["auth.example.com"], "auth.example.com", True),
        (["AUTH.example.com"], "auth.example.com", True),
        (["*.example.com"], "auth.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "a.b.example.com", False),
        (["example.com"], "auth.example.com", False),
        (["*.com"], "example.com.evil", False),
        (["auth.example.com"], "192.0.2.7", False),
    ],
)
def test_which_hosts_a_certificate_is_for(hosts: list[str], host: str, fits: bool) -> None:
    assert tls.names(made("Server", by=ROOT, hosts=hosts).certificate, host) is fits


def test_a_common_name_is_no_host() -> None:
    """Clients have looked at subjectAltName alone for years."""
    assert not tls.names(made(HOST).certificate, HOST)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    certificate, _ = written(tmp_path, of_host(), MIDDLE)
    (tmp_path / "other").mkdir()
    _, key = written(tmp_path / "other", of_host())
    found = examined(certificate, key, free_port())
    assert told(found) == [("pair", PROBLEM), ("served", SKIPPED)]
    assert "are no pair" in found[0].what


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate(tmp_path: Path, content: bytes) -> None:
    certificate, key = written(tmp_path, of_host())
    certificate.write_bytes(content)
    assert told(examined(certificate, key, free_port())) == [("pair", PROBLEM), ("served", SKIPPED)]


# -- where the base URL leads ------------------------------------------------------------------------------------


def test_a_certificate_that_is_trusted(tmp_path: Path, trusted: None) -> None:
    files = written(tmp_path, of_host(), MIDDLE)
    with shown(*files) as port:
        found = examined(*files, port)
    assert told(found) == [("files", FINE), ("served", FINE)]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([of_host(ends=TODAY - timedelta(days=1)), MIDDLE], {("expired", PROBLEM), ("trust", PROBLEM)}),
        ([of_host(hosts=["other.example.com"]), MIDDLE], {("name", PROBLEM), ("trust", PROBLEM)}),
        ([of_host()], {("chain", ADVICE), ("trust", PROBLEM)}),
        ([made("Me", hosts=[HOST])], {("files", FINE), ("trust", PROBLEM)}),
    ],
    ids=["expired", "name", "chain", "self-signed"],
)
def test_a_certificate_that_clients_refuse(
    tmp_path: Path, trusted: None, chain: list[Made], expected: set[tuple[str, str]]
) -> None:
    files = written(tmp_path, *chain)
    with shown(*files) as port:
        found = examined(*files, port)
    assert set(told(found)) == expected
    (refused,) = (one for one in found if one.name == "trust")
    assert f"Clients refuse the certificate of https://{HOST}:{port}: " in refused.what and refused.fix


def test_an_end_that_is_near_is_told_once(tmp_path: Path, trusted: None) -> None:
    files = written(tmp_path, of_host(ends=TODAY + timedelta(days=20)), MIDDLE)
    with shown(*files) as port:
        assert told(examined(*files, port)) == [("expires", ADVICE)]


def test_a_server_that_has_not_taken_the_renewed_certificate(tmp_path: Path, trusted: None) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = written(tmp_path / "old", of_host(), MIDDLE), written(tmp_path / "new", of_host(), MIDDLE)
    with shown(*old) as port:
        assert ("renewed", PROBLEM) in told(examined(*new, port))


def test_a_certificate_that_was_made_for_development_is_trusted_by_its_own(
    tmp_path: Path, unopened: Callable[[Settings], Subject]
) -> None:
    from app import installation

    made_itself = installation.tls_files(Settings(mode="development", data_dir=tmp_path, tls="self-signed"))
    assert made_itself[0] and made_itself[1]
    with shown(made_itself[0], made_itself[1]) as port:
        settings = Settings(mode="development", data_dir=tmp_path, tls="self-signed", port=port)
        assert told(tls.check(Subject(settings, lambda: TODAY))) == [("served", FINE)]


def test_a_base_url_of_http_has_none(unopened: Callable[[Settings], Subject]) -> None:
    assert told(tls.check(unopened(Settings(mode="development")))) == [("https", FINE)]
