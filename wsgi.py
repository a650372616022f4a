"""The WSGI application, for granian (`cognate serve`), gunicorn (`gunicorn wsgi:app`) and anything else."""

import os

from app import config, create_app, installation, logs, observation
from app.background import Background
from app.db import db

settings = config.read(os.environ)
logs.configure(settings)
app = create_app(settings, background=Background())
installation.demand_ready(app)
with app.app_context():
    # A server may fork its workers now (gunicorn --preload), and none may share a connection.
    db.engine.dispose()
# The server has an access log of its own.
observation.start(app, access_log=False)
