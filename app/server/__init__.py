"""The production server: `cognate serve` (docs/decisions/012).

    supervisor   the parent: gunicorn's arbiter, which starts, watches, replaces and stops
    worker       a process that serves: granian's HTTP, the lanes, signs of life, drain
    transport    granian: connections, TLS, HTTP
    front        requests from granian, their bodies, their WSGI environments and answers
    lanes        threads and a queue for each kind of work
    kinds        which kind a request is of
    refusals     what is answered without the application
    address      where to listen

What could fail every request is checked first, in the parent and with one clear line: settings, key, migrations.
"""

from app.server.address import disconnect, free_address
from app.server.supervisor import check, serve

__all__ = ["check", "disconnect", "free_address", "serve"]
