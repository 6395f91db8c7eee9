"""`GET /api/prometheus`: the server about itself, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server.answers import Health
from brakit_server.api import pipeline_of
from brakit_server.api.health import health
from brakit_server.meters import BUCKETS_MS, Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

COUNTERS = {
    "rejected": ("reason", "Events that were refused."),
    "dropped": ("reason", "Events that the SDKs had to drop, as far as their reports are stored."),
    "answers": ("status", "Answers to SDKs."),
    "refused": ("status", "Calls that were turned away at the gate."),
}
"""Fields of `Health` that are counts by something: by what, and what they are."""

GAUGES = {
    "waiting": "Batches that are being stored.",
    "streams": "Open event streams.",
    "database_bytes": "Size of the database.",
    "memory_bytes": "Memory of the server.",
    "to_judge": "Requests and jobs that the rules have not seen yet.",
}


async def get(request: Request) -> Response:
    """The figures of `/api/health`, as text; `up` is 0 where that says `degraded`."""
    found = await health(request)
    # The library is not needed by anybody else, and takes a while to be imported.
    text = await asyncio.to_thread(exposition, found, pipeline_of(request).meters.commits)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def exposition(found: Health, commits: Histogram) -> bytes:
    """The figures in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Figures(Collector):
        def collect(self) -> Iterator[Metric]:
            return metrics(found, commits)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return generate_latest(registry)


def metrics(found: Health, commits: Histogram) -> Iterator[Metric]:
    """Each figure with its name: `brakit_…`."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    yield GaugeMetricFamily("brakit_up", "Whether events are taken and judged as they should be.", found.status == "ok")
    yield GaugeMetricFamily("brakit_uptime_seconds", "Since the start of the server.", found.uptime_ms / 1000)
    yield CounterMetricFamily("brakit_received_events", "Events that were stored.", found.received)
    yield CounterMetricFamily("brakit_batches", "Batches that were stored.", found.batches)
    for name, (label, text) in COUNTERS.items():
        family = CounterMetricFamily(f"brakit_{name}", text, labels=[label])
        for value, count in sorted(getattr(found, name).items()):
            family.add_metric([value], count)
        yield family
    yield CounterMetricFamily(
        "brakit_not_judged", "Requests and jobs that the rules will not see: too many came.", found.not_judged
    )
    closed = CounterMetricFamily("brakit_closed_connections", "Connections that the server cut off.", labels=["reason"])
    for reason, count in sorted(found.connections.closed.items()):
        closed.add_metric([reason], count)
    yield closed
    yield GaugeMetricFamily("brakit_open_connections", "Connections to the server.", found.connections.open)
    for name, text in GAUGES.items():
        value = getattr(found, name)
        if value is not None:
            yield GaugeMetricFamily(f"brakit_{name}", text, value)
    rules = CounterMetricFamily("brakit_rule_seconds", "Time that a rule has taken.", labels=["rule"])
    for rule, seconds in sorted(found.rule_seconds.items()):
        rules.add_metric([rule], seconds)
    yield rules
    below, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip((*BUCKETS_MS, None), commits.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound is None else str(bound / 1000), below))
    took = HistogramMetricFamily("brakit_commit_seconds", "From a batch that is checked to one that is stored.")
    took.add_metric([], buckets, commits.total_ms / 1000)
    yield took


ROUTES = [Route("/prometheus", get, methods=["GET"])]
