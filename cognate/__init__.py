"""What the wheel installs: the whole tree inside one package, so that nobody's site-packages gets a package `app`.

Importing this package makes `import app` mean Cognate's, in this process, whatever else is called `app` in
site-packages, in the working directory, or in a directory that a server puts before them later. So it is for processes
that are Cognate: the command, `python -m cognate`, and WSGI servers (`cognate.wsgi:app`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).resolve().parent
ROOT = _HERE if (_HERE / "app").is_dir() else _HERE.parent
"""Where app/, themes/ and migrations/ are: in an installed wheel inside this package, in a checkout beside it."""


class _Finder(MetaPathFinder):
    """Asked before sys.path is; knows one name."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec("app", [str(ROOT)]) if name == "app" else None


def _install() -> None:
    loaded = sys.modules.get("app")
    if loaded is not None and Path(loaded.__file__ or "").resolve() != ROOT / "app" / "__init__.py":
        raise ImportError(
            f"another package called app, {loaded.__file__ or loaded}, has been imported here already: "
            "Cognate needs a process of its own (the command `cognate`, or a server of `cognate.wsgi:app`)"
        )
    sys.meta_path.insert(0, _Finder())


_install()
