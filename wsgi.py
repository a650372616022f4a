"""The WSGI application, for granian (`cognate serve`), gunicorn (`gunicorn wsgi:app`) and anything else."""

from app import create_app, installation

app = create_app()
installation.demand_ready(app)
