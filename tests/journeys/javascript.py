"""An SDK for JavaScript, steered from Python: `js/commands.mjs` runs in Node and obeys, one line of JSON at a time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "js"


def node() -> str:
    """Where Node is. Skips the test, and says why, when it or the SDKs are missing."""
    found = shutil.which("node")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout if found else ""
    major = re.match(r"v(\d+)\.", version)
    if not found or not major or int(major[1]) < 20:
        pytest.skip(f"Node 20 or newer is needed, and there is {version.strip() or 'none'}")
    for name, wanted in json.loads((HERE / "package.json").read_text())["dependencies"].items():
        installed = HERE / "node_modules" / name / "package.json"
        if not installed.exists() or json.loads(installed.read_text())["version"] != wanted:
            pytest.skip(f"{name} {wanted} is not installed: make sdk, which needs npm")
    return found


class Failed(Exception):  # noqa: N818 - what the SDK raised, whatever it was
    """What an SDK threw, or a callback got, as an error."""

    def __init__(self, name: str, message: str, stack: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.add_note(stack)


class Script:
    """A script of `js/` that is running, with memory of its own: what is one person's browser or telephone."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [node(), name], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __call__(self, command: str, **given: Any) -> Any:
        """Have a command done. Returns what came of it; raises Failed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"command": command, "given": given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"Node ended with status {self.process.wait(timeout=60)}"
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(**answer["failed"])
        return answer["done"]

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
