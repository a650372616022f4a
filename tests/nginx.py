"""nginx with the configuration of deploy/, on ports of a test's own.

with nginx.serving(tmp_path, upstream="127.0.0.1:8080", base_url="https://localhost:8443") as proxy: …
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app import installation
from app.config import Settings
from tests.ports import free_port

TEMPLATE = Path(__file__).parents[1] / "deploy" / "nginx.conf.template"
WITHIN = 60
"""Seconds for a start, on a machine that has other things to do."""

# All that Debian's own main configuration and its defaults would put elsewhere.
MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{more}
    include {folder}/site.conf;
}}
"""


def program() -> str:
    """The path of nginx; skips the test where there is none. Debian keeps it where only root looks."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no nginx: run `make deploy-tools` as root, or apt-get install nginx")
    return found


def rendered(**values: str) -> str:
    """What envsubst makes of the template: it knows these variables, and leaves nginx's own alone."""
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@dataclass
class Configured:
    """Files that nginx can be started with."""

    folder: Path
    certificate: Path

    @property
    def command(self) -> list[str]:
        return [program(), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    def check(self) -> tuple[int, str]:
        """What `nginx -t` says, with its exit status."""
        done = subprocess.run([*self.command, "-t"], capture_output=True, text=True, timeout=WITHIN)
        return done.returncode, done.stderr

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def configured(folder: Path, *, upstream: str, base_url: str, more: str = "") -> Configured:
    """Writes the files: the site as an operator gets it, but for the ports and where the logs are. `more` is for the
    http block."""
    settings = Settings(mode="development", data_dir=folder, base_url=base_url, tls="self-signed")
    certificate, key = installation.tls_files(settings)
    assert certificate and key
    where = urlsplit(base_url)
    site = rendered(
        SERVER_NAME=f"{where.hostname} *.{where.hostname}",
        UPSTREAM=upstream,
        TLS_CERTIFICATE=str(certificate),
        TLS_KEY=str(key),
    )
    site = site.replace("/var/log/nginx/", f"{folder}/")
    for port, own in (("80", free_port()), ("443", where.port)):
        site = re.sub(rf"(listen (?:\[::\]:)?){port}\b", rf"\g<1>{own}", site)
    (folder / "site.conf").write_text(site)
    # As root its workers would be somebody else, who may not look into the directory of a test.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user, more=more))
    return Configured(folder, Path(certificate))


@contextmanager
def serving(folder: Path, *, upstream: str, base_url: str) -> Iterator[Configured]:
    there = configured(folder, upstream=upstream, base_url=base_url)
    address = ("127.0.0.1", urlsplit(base_url).port)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(there.command, stdout=output, stderr=output, start_new_session=True)
    try:
        end = time.monotonic() + WITHIN
        while True:
            assert process.poll() is None and time.monotonic() < end, (folder / "output").read_text()
            try:
                socket.create_connection(address, timeout=WITHIN).close()
                break
            except OSError:
                time.sleep(0.02)
        yield there
    finally:
        process.terminate()
        process.wait(timeout=WITHIN)
