"""`GET /api/health`: how the server itself is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import brakit_server
from brakit_server import answers
from brakit_server.api import json_of, pipeline_of
from brakit_server.memory import resident
from brakit_server.stores import StoreUnavailable

if TYPE_CHECKING:
    from brakit_server.connections import Connections
    from brakit_server.memory import Ceiling


async def get(request: Request) -> Response:
    """`status` is `ok`, or `degraded` where events are refused for want of memory or of the store, with the reason in `problems`."""
    return json_of(await health(request))


async def health(request: Request) -> answers.Health:
    """The figures of the server that answers."""
    pipeline = pipeline_of(request)
    meters = pipeline.meters
    ceiling: Ceiling = request.app.state.ceiling
    connections: Connections = request.app.state.connections
    problems = []
    database_bytes, dropped = None, dict[str, int]()
    try:
        database_bytes = (await pipeline.store.size()).bytes
        for run in await pipeline.store.runs():
            for reason, count in run.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
    except StoreUnavailable as error:
        problems.append(f"The store is unavailable: {error}")
    if pipeline.refusing is not None:
        problems.append(f"The store takes no events: {pipeline.refusing}")
    if ceiling.is_reached():
        problems.append("The server has as much in memory as it may: SDKs are asked to wait")
    problems += [f"The rule {notice.rule} is set aside: {notice.reason}" for notice in pipeline.engine.judge.notices]
    return answers.Health(
        status="degraded" if problems else "ok",
        problems=problems,
        version=brakit_server.__version__,
        uptime_ms=time.time() * 1000 - pipeline.started_at,
        received=meters.received,
        batches=meters.batches,
        rejected=meters.rejected,
        dropped=dropped,
        answers={str(status): count for status, count in sorted(meters.answers.items())},
        refused={str(status): count for status, count in sorted(meters.refused.items())},
        commits=answers.Durations(
            count=meters.commits.count,
            total_ms=meters.commits.total_ms,
            p50_ms=meters.commits.quantile(0.5),
            p99_ms=meters.commits.quantile(0.99),
            max_ms=meters.commits.most_ms,
        ),
        waiting=meters.waiting,
        to_judge=pipeline.engine.behind,
        not_judged=pipeline.engine.given_up,
        rule_seconds={rule: figures.seconds for rule, figures in sorted(pipeline.engine.judge.figures.items())},
        streams=pipeline.stream.clients,
        connections=answers.OpenConnections(open=len(connections.open), most=connections.most, closed=connections.closed),
        database_bytes=database_bytes,
        memory_bytes=resident(),
        max_memory=ceiling.most,
    )


ROUTES = [Route("/health", get, methods=["GET"])]
