"""The disk is full; the mail server says nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos import hostile
from chaos.conversations import MailedSignUp
from chaos.trial import DISTURBED, NotPossible, Trial, failures, fault

DISK_MB = 24
FREED_WITHIN = 10.0


@fault("disk-full")
def disk_full(trial: Trial) -> None:
    """The file system of the SQLite file is full to the last byte. What only reads goes on; nothing is half done."""
    prepared = trial.prepare()
    with small_disk(trial.home) as disk:
        for name in prepared.directory.glob("cognate.sqlite*"):  # what was written last may be in the -wal
            shutil.copy(name, disk.directory)
        trial.serve(f"sqlite:///{disk.directory / 'cognate.sqlite'}", disk.environ)
        trial.ask()
        trial.undisturbed()
        with trial.disturbed():
            disk.fill()
            time.sleep(trial.durations.harm)
            disk.make_room()
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
        trial.server.stop()  # before its disk goes


@dataclass(frozen=True)
class Disk:
    """A directory for files, and a file that makes it full."""

    directory: Path
    ballast: Path
    environ: dict[str, str] = field(default_factory=dict)
    """Of the programs that write there."""

    def fill(self) -> None:
        """To the last byte."""
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as file:
                while not self.environ and file.write(bytes(size)) == size:
                    pass

    def make_room(self) -> None:
        self.ballast.unlink()


@contextlib.contextmanager
def small_disk(scratch: Path) -> Iterator[Disk]:
    """A file system of a few megabytes, if one can be mounted; otherwise a library that lets writes fail."""
    directory = (scratch / "disk").resolve()
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(directory)]
    if os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0:
        try:
            yield Disk(directory, directory / "ballast")
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)
    else:
        yield _preloaded(directory, scratch)


def _preloaded(directory: Path, scratch: Path) -> Disk:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not os.path.isdir("/proc/self/fd"):
        raise NotPossible("to fill a disk takes root, or Linux and a C compiler")
    library, ballast = scratch / "full_disk.so", scratch / "ballast"
    source = Path(__file__).parents[1] / "full_disk.c"
    subprocess.run([compiler, "-std=c11", "-Wall", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    environ = {"LD_PRELOAD": library, "FULL_DISK_OF": directory, "FULL_DISK_WHILE": ballast}
    return Disk(directory, ballast, {name: str(value) for name, value in environ.items()})


@fault("silent-mail-server")
def silent_mail_server(trial: Trial) -> None:
    """The mail server accepts connections and says nothing, while users ask for codes. Nobody else notices."""
    with hostile.mail_server(greets_after=None) as port:
        trial.serve(smtp_host="127.0.0.1", smtp_port=str(port), smtp_tls="none")
        trial.ask()
        trial.undisturbed()
        with trial.ask_also([(MailedSignUp(trial.site), 3)], patience=40) as asking:
            with trial.disturbed():
                time.sleep(trial.durations.harm)
            asking.ask_no_more()
            trial.recovers(time.monotonic(), target=20)
        trial.unharmed()
