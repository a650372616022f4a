"""Where the server listens, and what it must leave behind before it forks."""

from __future__ import annotations

import errno
import socket

from flask import Flask

from app.config import Settings, SettingsError
from app.db import db


def disconnect(app: Flask) -> None:
    """Close every connection, before workers are forked: none may be shared with them.

    Above all not of SQLite, which would believe in the child that it holds the locks of the parent.
    """
    with app.app_context():
        db.engine.dispose()


def free_address(settings: Settings) -> str:
    """The IP address to listen on, if nothing listens there on the port yet. Raises SettingsError.

    granian wants a number, and lets two servers listen on one port (SO_REUSEPORT): each would get some requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        return str(address[0])
    except OSError as error:
        what = f"COGNATE_HOST {settings.host} and COGNATE_PORT {settings.port} cannot be listened on: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            what += " Stop the other server, or give another port in COGNATE_PORT."
        raise SettingsError(what) from None
