"""The command `cognate`; also `python -m cognate`."""

from __future__ import annotations

import cognate  # noqa: F401, I001 - makes `app` importable, also where this file is run by its path
from app.cli import main

if __name__ == "__main__":
    # Where workers are spawned instead of forked, they run the main module again, and so learn where `app` is. By name,
    # multiprocessing leaves out modules called __main__; without a name it goes by the path.
    __spec__ = None
    main()
