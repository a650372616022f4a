# The image of an installation. Build it, then give it an address and a volume:
#
#   docker build --tag cognate .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 \
#       --volume cognate:/data --publish 8080:8080 --env COGNATE_BASE_URL=https://auth.example.com \
#       --env COGNATE_TRUSTED_PROXIES=1 cognate
#
# Only /data is written to. Migrate before the first start, and after each new version:
#
#   docker run --rm --volume cognate:/data cognate migrate

FROM python:3.12-slim-bookworm AS builder
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# The environment gets no pip: nothing is installed later. What builds the wheel stays in this stage.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.lock \
    && pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE wsgi.py ./
COPY cognate cognate
COPY app app
COPY themes themes
COPY migrations migrations
# It is compiled here, since it cannot be later, and by content, since a copy into the next stage may change the times.
RUN python -m hatchling build --target wheel --directory /dist \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-index --no-compile /dist/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib/python3.12/site-packages/cognate

FROM python:3.12-slim-bookworm
# A number, so that a cluster can see without looking into the image that this is not root.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin cognate \
    && install --directory --owner cognate --group cognate --mode 0700 /data
COPY --from=builder /opt/venv /opt/venv
# Inside a container the laptop's address, 127.0.0.1, would be heard by nobody.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    COGNATE_DATA_DIR=/data \
    COGNATE_HOST=0.0.0.0 \
    COGNATE_PORT=8080
USER 10001:10001
VOLUME /data
EXPOSE 8080
# It drains and finishes what is under way: --stop-timeout should be longer than the 30 seconds that this may take.
STOPSIGNAL SIGTERM
# Whether the process answers: without its database it is not to be restarted. Who sends requests asks /readyz. Plain
# HTTP, as behind a proxy; where Cognate ends TLS itself, give --health-cmd instead.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"COGNATE_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["cognate"]
CMD ["serve"]
