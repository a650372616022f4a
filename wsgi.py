"""The WSGI application, for granian (`cognate serve`), gunicorn (`gunicorn wsgi:app`) and anything else."""

import logging.config
import os

from app import config, create_app, installation, logs
from app.background import Background
from app.db import db

settings = config.read(os.environ)
logging.config.dictConfig(logs.configuration(settings))
app = create_app(settings, background=Background())
installation.demand_ready(app)
with app.app_context():
    # A server may fork its workers now (gunicorn --preload), and none may share a connection.
    db.engine.dispose()
