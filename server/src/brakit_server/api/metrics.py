"""`GET /api/metrics` and `GET /api/metrics/live`: figures of endpoints, by run and of their newest requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of


async def history(request: Request) -> Response:
    """All endpoints, or the one whose key is `endpoint`."""
    found = pipeline_of(request).engine.metrics(request.query_params.get("endpoint") or None)
    return json_of(answers.Metrics(endpoints=found))


async def live(request: Request) -> Response:
    """Slowest first."""
    return json_of(answers.LiveMetrics(endpoints=pipeline_of(request).engine.live_metrics()))


ROUTES = [Route("/metrics", history, methods=["GET"]), Route("/metrics/live", live, methods=["GET"])]
