"""The disk is full; the mail server says nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from chaos import hostile
from chaos.conversations import MailedSignUp
from chaos.trial import DISTURBED, NotPossible, Trial, failures, fault

DISK_MB = 24
FREED_WITHIN = 10.0


@fault("disk-full")
def disk_full(trial: Trial) -> None:
    """The file system of the SQLite file is full to the last byte. What only reads goes on, and nothing is half written."""
    prepared = trial.prepare()
    with small_disk(trial.home / "disk") as disk:
        shutil.copy(prepared.directory / "cognate.sqlite", disk / "cognate.sqlite")
        trial.serve(f"sqlite:///{disk / 'cognate.sqlite'}")
        trial.ask()
        trial.undisturbed()
        with trial.disturbed():
            ballast = fill(disk)
            time.sleep(trial.durations.harm)
            ballast.unlink()
        trial.recovers(time.monotonic(), target=FREED_WITHIN)
        during = trial.figures(DISTURBED)
        trial.claim("each request is answered, or refused with Retry-After", during.failed == 0, failures(during))
        reading = trial.figures(DISTURBED, "jwks", "userinfo")
        trial.claim(
            "JWKS and userInfo are answered throughout",
            reading.asked == reading.answered > 0,
            f"{reading.answered} of {reading.asked}",
        )
        if not during.refused:
            trial.note("nothing had to be refused: SQLite had room left in its own files")
        trial.server.stop()


@contextlib.contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    at.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(at)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        raise NotPossible("no file system can be mounted here: that takes root")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(disk: Path) -> Path:
    """The file that takes all that was left."""
    ballast = disk / "ballast"
    for size in (2**20, 2**12, 1):
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                if file.write(bytes(size)) < size:
                    raise OSError(errno.ENOSPC, "full")
    return ballast


@fault("silent-mail-server")
def silent_mail_server(trial: Trial) -> None:
    """The mail server accepts connections and says nothing, while users ask for codes. Nobody else notices."""
    with hostile.mail_server(greets_after=None) as port:
        trial.serve(smtp_host="127.0.0.1", smtp_port=str(port), smtp_tls="none")
        trial.ask()
        trial.undisturbed()
        with trial.ask_also([(MailedSignUp(trial.site), 3)], patience=40):
            with trial.disturbed():
                time.sleep(trial.durations.harm)
            trial.recovers(time.monotonic(), target=20)
        trial.unharmed()
