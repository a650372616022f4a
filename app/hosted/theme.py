"""What the pages look like: the templates and static files of a theme, each taken from `default` where it has none.

Static files are read once, at the start, into a table by name; a request can name nothing outside it. Their URL has a
digest of all of them in it, so that browsers keep them for ever and a changed theme has new URLs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from flask import Flask, Response, current_app, request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from app import web
from app.config import Settings, SettingsError

THEMES = Path(__file__).resolve().parents[2] / "themes"
DEFAULT = "default"
# Named here, because what Python's mimetypes knows depends on the machine.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"


class Theme:
    def __init__(self, *folders: Path, watched: bool = False) -> None:
        """`folders`: the theme's own, then those it falls back to. `watched`: a template that was edited is read
        again (static files are not)."""
        self._templates = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder / "templates") for folder in folders]),
            autoescape=True,
            auto_reload=watched,
        )
        self._templates.globals.update(static_url=self.url, carry=web.carry)
        self.files = _files(folders)
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
        self.version = digest.hexdigest()[:16]

    def draw(self, template: str, facts: Mapping[str, object]) -> str:
        return self._templates.get_template(template).render(facts)

    def url(self, name: str) -> str:
        """The URL of a static file, the same for every pool of the host. Raises LookupError."""
        if name not in self.files:
            raise LookupError(f"the theme has no static file {name}")
        return f"/static/{self.version}/{name}"


def _files(folders: tuple[Path, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for folder in reversed(folders):
        root = folder / "static"
        for path in root.rglob("*"):
            if path.is_file() and path.suffix in TYPES:
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def install(app: Flask, settings: Settings) -> None:
    """Raises SettingsError."""
    names = sorted(folder.name for folder in THEMES.iterdir() if folder.is_dir())
    if settings.theme not in names:
        raise SettingsError(f"COGNATE_THEME is {settings.theme!r}; expected a folder in themes/: {', '.join(names)}.")
    folders = [THEMES / name for name in dict.fromkeys((settings.theme, DEFAULT))]
    app.extensions["cognate_theme"] = Theme(*folders, watched=settings.development)


def current() -> Theme:
    found: Theme = current_app.extensions["cognate_theme"]
    return found


def static(version: str, name: str) -> Response:
    """A static file of the theme."""
    theme = current()
    content = theme.files.get(name)
    if content is None:
        return Response("There is no such file.\n", 404, content_type="text/plain; charset=utf-8")
    response = Response(content, content_type=TYPES[Path(name).suffix])
    response.headers["X-Content-Type-Options"] = "nosniff"
    # During an update, a page of the new version may ask the old server: what it gets must not be kept under that URL.
    response.headers["Cache-Control"] = FOR_EVER if version == theme.version else "no-store"
    response.set_etag(theme.version)
    response.make_conditional(request)
    return response
