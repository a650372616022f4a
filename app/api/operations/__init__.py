"""One function per operation, in modules named after what they are about. Each translates: members in, a use-case,
its value out."""

from importlib import import_module
from pkgutil import iter_modules


def load() -> None:
    """Import every module here, which declares its operations."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
