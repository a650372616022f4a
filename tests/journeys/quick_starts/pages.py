"""The quick starts of docs/quick-starts/, run as they stand there.

A page's fenced blocks are taken in order. One with a `title` that is a file's name is written to that file, a shell
block is executed, all in one shell. `title="install"` names packages, which are compared with those that the tests have
and not installed; `title="run"` starts the application. Nothing is changed but the port.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

from tests.journeys import javascript
from tests.journeys.conftest import WITHIN, RunningServer
from tests.ports import free_port
from tests.quick_start_pages import Block, blocks


class QuickStart:
    """A page, in a directory of its own; the values of the demo are read where the server's `var` is.

    `port` is the one that the page's application listens on; it is replaced by a free one wherever the page names it.
    """

    def __init__(self, page: str, directory: Path, server: RunningServer, port: str) -> None:
        self.page = page
        self.clone = directory / "clone"
        self.directory = directory / "application"
        self.server = server
        self.written_port, self.port = port, str(free_port())
        self.environ: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    def blocks(self) -> list[Block]:
        """The blocks of the page, with the other port."""
        return [
            Block(block.language, block.title, re.sub(rf"\b{self.written_port}\b", self.port, block.text))
            for block in blocks(self.page)
        ]

    def prepare(self, installer: str | None = None) -> None:
        """Do all that the page says before its application is started. Skips where Node or a package is missing;
        with an `installer`, only of those that this one installs."""
        self.clone.mkdir()
        self.directory.mkdir()
        (self.clone / "var").symlink_to(self.server.directory)
        script = ["set -eu", *(block.text for block in blocks("README.md")), f"cd {shlex.quote(str(self.directory))}"]
        for block in self.blocks():
            if block.title == "install":
                if installer in (None, block.text.split()[0]):
                    self._compare(shlex.split(block.text))
            elif block.language == "sh" and block.title is None:
                script.append(block.text)
            elif block.title and "." in block.title:
                path = self.directory / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
        script.append(f"exec {shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'")
        done = subprocess.run(
            ["sh", "-c", "\n".join(script)],
            cwd=self.clone,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=2 * WITHIN,
        )
        assert done.returncode == 0, done.stderr
        self.environ = json.loads(done.stdout.splitlines()[-1])

    def _compare(self, command: list[str]) -> None:
        """That what the page installs is what the tests run it with."""
        installer, install, *packages = command
        assert install == "install"
        if installer == "pip":
            for requirement in map(Requirement, packages):
                assert importlib.metadata.version(requirement.name) in requirement.specifier
            return
        assert installer == "npm"
        javascript.node()
        modules = javascript.HERE / "node_modules"
        locked = json.loads((javascript.HERE / "package.json").read_text())["dependencies"]
        assert set(packages) <= set(locked)
        if not (self.directory / "node_modules").exists():
            (self.directory / "node_modules").symlink_to(modules)

    @contextmanager
    def running(self, title: str = "run") -> Iterator[str]:
        """The address of the application, as long as the block lasts."""
        (command,) = [block.text for block in self.blocks() if block.title == title]
        log = self.directory / f"{title}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", command],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.PIPE,  # as at a terminal: esbuild stops when it is closed
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._wait(process, log)
            yield self.base_url
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.communicate(timeout=WITHIN)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        end = time.monotonic() + WITHIN
        while True:
            try:
                requests.get(self.base_url, timeout=WITHIN)
                return
            except requests.ConnectionError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.page} did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.05)

    def run(self, title: str) -> str:
        """Execute a block beside the running application. Returns what it prints."""
        (command,) = [block.text for block in self.blocks() if block.title == title]
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
