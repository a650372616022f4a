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


def free_address(settings: Settings, *, admin: bool = False) -> str:
    """`address:port` to listen on, with the address as a number, if nothing listens there yet: the port of requests, or
    that of operators. Raises SettingsError.

    Asked before anything is begun, because gunicorn tries a port that is taken for five seconds.
    """
    host, port = (settings.admin_host, settings.admin_port) if admin else (settings.host, settings.port)
    names = "COGNATE_ADMIN_HOST %s and COGNATE_ADMIN_PORT %s" if admin else "COGNATE_HOST %s and COGNATE_PORT %s"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        what = f"{names % (host, port)} cannot be listened on: {error.strerror}."
        if error.errno == errno.EADDRINUSE:
            what += f" Stop the other server, or give another port in {names.split()[-2]}."
        raise SettingsError(what) from None
    number = str(address[0])
    return f"[{number}]:{port}" if ":" in number else f"{number}:{port}"
