"""Traces of OpenTelemetry, where its SDK is installed (`cognate-idp[otel]`) and told where to send them.

Configured by OpenTelemetry's own variables, OTEL_EXPORTER_OTLP_ENDPOINT above all; without it nothing of it is even
imported. A span has names, ids and the text of statements with placeholders; no value, no query, no message of an
exception, which may quote one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import util
from typing import Any

from app.facts import Facts

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SECRETS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""Variables with credentials of the collector: read once, by `start`."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.ASCII
)

_NOTHING = nullcontext()
_provider: Any = None
_tracer: Any = None


def trace_id_of(traceparent: str) -> str:
    """The trace that a `traceparent` header belongs to (W3C Trace Context, 3.2); empty for what is not one."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def wanted(environ: Mapping[str, str]) -> bool:
    return (
        any(environ.get(name) for name in ENDPOINTS)
        and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )


def start(environ: Mapping[str, str], *, version: str) -> None:
    """Begin to trace, if that is wanted. What is wrong is one line of the log: a server without traces still serves."""
    global _provider, _tracer
    if not wanted(environ) or _tracer is not None:
        return
    for name in PROTOCOLS:
        if environ.get(name, "http/protobuf") != "http/protobuf":
            log.error("there are no traces: %s must be http/protobuf, the only protocol that is built in", name)
            return
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        log.error("there are no traces: OTEL_TRACES_EXPORTER must be otlp or none")
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.error(
            "there are no traces: %s is set, but OpenTelemetry is not installed (cognate-idp[otel])", ENDPOINTS[0]
        )
        return
    trace_to(BatchSpanProcessor(OTLPSpanExporter()), environ, version=version)
    # Processes that were forked by multiprocessing end without atexit, but with this.
    util.Finalize(None, stop, exitpriority=2)


def trace_to(processor: Any, environ: Mapping[str, str], *, version: str) -> None:
    """Give every span to this processor of the SDK."""
    global _provider, _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    ours = {"service.version": version}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        ours["service.name"] = "cognate"
    _provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=True)
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("cognate", version)


def stop() -> None:
    """Send what is left, and trace no more."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def tracing() -> bool:
    return _tracer is not None


def span(name: str, kind: str = "INTERNAL", **attributes: str | int) -> AbstractContextManager[Any]:
    """Around what is to be seen in a trace. In the name of an attribute, `__` stands for a dot."""
    return _NOTHING if _tracer is None else _span(name, kind, attributes)


@contextmanager
def _span(name: str, kind: str, attributes: Mapping[str, str | int], context: Any = None) -> Iterator[Any]:
    from opentelemetry.trace import SpanKind, Status, StatusCode

    named = {key.replace("__", "."): value for key, value in attributes.items()}
    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind],
        attributes=named,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as failed:
            opened.set_status(Status(StatusCode.ERROR, type(failed).__name__))
            raise


@contextmanager
def request(facts: Facts, traceparent: str, tracestate: str) -> Iterator[None]:
    """Around a whole request. `traceparent` and `tracestate` are what a proxy that is believed has sent, or empty."""
    from opentelemetry.context import Context
    from opentelemetry.trace import Status, StatusCode, format_trace_id
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    sent = {"traceparent": traceparent, "tracestate": tracestate}
    context = TraceContextTextMapPropagator().extract(sent, Context()) if facts.trace_id else Context()
    with _span("request", "SERVER", {"cognate__request_id": facts.request_id}, context) as opened:
        facts.trace_id = format_trace_id(opened.get_span_context().trace_id)
        try:
            yield
        finally:
            opened.update_name(f"{facts.method} {facts.door} {facts.operation}")
            known = {
                "http.request.method": facts.method,
                "cognate.door": facts.door,
                "cognate.operation": facts.operation,
                "cognate.pool": facts.pool,
                "cognate.client": facts.client,
                "cognate.outcome": facts.outcome,
            }
            opened.set_attributes({key: value for key, value in known.items() if value})
            if facts.status:
                opened.set_attribute("http.response.status_code", int(facts.status))
                if facts.status >= "500":
                    opened.set_status(Status(StatusCode.ERROR))


def here() -> Any:
    """The place in a trace, to be gone back to (`within`) on another thread; None without traces."""
    if _tracer is None:
        return None
    from opentelemetry.context import get_current

    return get_current()


@contextmanager
def within(place: Any) -> Iterator[None]:
    """What is done in here belongs to that place of a trace."""
    if place is None:
        yield
        return
    from opentelemetry.context import attach, detach

    token = attach(place)
    try:
        yield
    finally:
        detach(token)
