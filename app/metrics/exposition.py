"""The metrics of all processes in the text format of Prometheus, for the admin port. Never for the public one: they
tell how many users a pool has that sign in, and when the database is away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app import metrics
from app.metrics import PROCESSES, sharing
from app.metrics.instruments import INSTRUMENTS, Counter, Histogram


def exposition() -> bytes:
    """What all processes of this server have counted. In a process that has called `metrics.prepare`, or `start`; it
    need not be one that counts. Raises OSError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Totals())
    return generate_latest(registry)


class _Totals(Collector):
    def collect(self) -> Iterator[Metric]:
        sums, processes = sharing.totals(metrics.shared_directory())
        for name, instrument in INSTRUMENTS.items():
            family = Metric(name.removesuffix("_total"), instrument.about, instrument.kind)
            cells = sums.get(name, {})
            if not cells and not instrument.labels and isinstance(instrument, Counter):
                # Prometheus sees no increase from nothing to 1: the first alarm would go unheard.
                cells = {(): instrument._empty()}
            for values, cell in sorted(cells.items()):
                labels = dict(zip(instrument.labels, values, strict=True))
                if isinstance(instrument, Histogram):
                    bounds = [*map(floatToGoString, instrument.buckets), "+Inf"]
                    for bound, count in zip(bounds, accumulate(cell[:-1]), strict=True):
                        family.add_sample(f"{name}_bucket", {**labels, "le": bound}, count)
                    family.add_sample(f"{name}_count", labels, sum(cell[:-1]))
                    family.add_sample(f"{name}_sum", labels, cell[-1])
                else:
                    family.add_sample(name, labels, cell[0])
            yield family
        alive = Metric(PROCESSES, "Processes that share their numbers.", "gauge")
        alive.add_sample(PROCESSES, {}, processes)
        yield alive


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application that answers `GET /metrics`, and nothing else."""
    if environ.get("PATH_INFO") != "/metrics" or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    body = exposition()
    headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
