"""The browser of the tests: found, never downloaded.

    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)

`python -m tests.chromium` says where it is, or what to install.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import playwright
from playwright.sync_api import Browser, Page, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = (
    # Chromium's sandbox refuses to start as root and in most containers; the tests show it their own pages only.
    "--no-sandbox",
    # A container's /dev/shm is too small for a browser.
    "--disable-dev-shm-usage",
    # Nothing is to be asked of the world outside.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class NotFound(Exception):
    """No browser, or none that Playwright can drive; the text says what to install."""


def find() -> str:
    """The path of a Chromium: $CHROMIUM, else what the PATH has."""
    given = os.environ.get("CHROMIUM")
    for name in [given] if given else NAMES:
        if found := shutil.which(name):
            return found
    if given:
        raise NotFound(f"CHROMIUM={given} is not a program that can be run.")
    raise NotFound(
        "No Chromium for the browser tests: run `make browser` as root, or apt-get install chromium, "
        "or set CHROMIUM to the path of one."
    )


def check_driver() -> None:
    """Playwright's driver runs on a node of its own, which needs a library that a minimal Debian lacks.

    Without this check the first test ends with "Connection closed while reading from the driver".
    """
    bundled = Path(playwright.__file__).parent / "driver" / "node"
    node = os.environ.get("PLAYWRIGHT_NODEJS_PATH", str(bundled))
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise NotFound(f"Playwright's driver cannot be run: {error}") from error
    if done.returncode:
        raise NotFound(
            "Playwright's driver does not run: apt-get install libatomic1, or set PLAYWRIGHT_NODEJS_PATH to a node. "
            f"It says: {done.stderr.strip()}"
        )


def launch(playwright: Playwright) -> Browser:
    """Start a browser; one serves a whole session of tests, with a context for each test."""
    check_driver()
    return playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS))


def press(tab: Page, what: str) -> None:
    """Press, and wait for the page that follows: its fields may be called like those of the page before."""
    with tab.expect_navigation():
        tab.click(what)


def main() -> int:
    try:
        check_driver()
        print(find())
    except NotFound as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
