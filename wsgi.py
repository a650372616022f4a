"""The WSGI application, for granian (`cognate serve`), gunicorn (`gunicorn wsgi:app`) and anything else."""

from app import create_app, installation
from app.background import Background

app = create_app(background=Background())
installation.demand_ready(app)
