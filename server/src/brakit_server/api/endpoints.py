"""`GET /api/endpoints` and `GET /api/endpoints/<id>/history`: figures of endpoints and jobs over time, from the rollups.

`since` and `until` are epoch milliseconds, `minutes` is how long before `until` instead of `since`; an hour is the default.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import details
from brakit_server.api import json_of, moment, pipeline_of, whole
from brakit_server.stores.rollups import MINUTE_MS, Asked, Rollup, endpoint_id

MINUTES = 60
LONGEST_MS = 400 * 86_400_000.0
POINTS = 400
"""Stretches in a history, about, where no step is asked for."""

MOST_POINTS = 2_000
STEPS = (1, 10, 60, 360, 1440)
"""Minutes of a stretch."""

RUNS = 50


async def many(request: Request) -> Response:
    """Filters: `service`, `run`, `revision`, and `kind` (`request`, `job`, `noise`; all but noise by default). Up to 2001 of them."""
    pipeline = pipeline_of(request)
    asked = request.query_params
    since, until = stretch(asked)
    kind = asked.get("kind") or None
    told = await pipeline.engine.rollups(
        Asked(
            since=since,
            until=until,
            kind=kind,
            service=asked.get("service") or None,
            run=asked.get("run") or None,
            revision=asked.get("revision") or None,
        )
    )
    issues: dict[tuple[str | None, str | None], int] = {}
    for one in pipeline.engine.issues():
        if one.state in ("open", "regressed"):
            place = (one.issue.service, one.issue.endpoint)
            issues[place] = issues.get(place, 0) + 1
    rows = [
        details.EndpointSummaryRow(
            id=endpoint_id(key.kind, key.service, key.endpoint),
            kind=key.kind,
            service=key.service,
            endpoint=key.endpoint,
            issues=issues.get((key.service, key.endpoint), 0),
            **figures(sums),
        )
        for key, sums in told.rows
        if sums.count and (kind or key.kind != "noise")
    ]
    rows.sort(key=lambda row: (-row.total_ms, row.endpoint, row.service or ""))
    return json_of(details.Endpoints(since=told.since, until=until, total=len(rows), endpoints=rows))


async def history(request: Request) -> Response:
    """`step` in minutes: 1, 10, 60, 360 or 1440; by default what makes at most 400 points. Filters: `run`, `revision`."""
    pipeline = pipeline_of(request)
    asked = request.query_params
    id: str = request.path_params["id"]
    since, until = stretch(asked)
    step = step_of(asked.get("step"), until - since)
    run, revision = asked.get("run") or None, asked.get("revision") or None
    known = await pipeline.engine.rollups(Asked(since=0, until=until, id=id))
    if not known.rows:
        return json_of({"error": "Endpoint not found"}, 404)
    found = Asked(since=since, until=until, id=id, run=run, revision=revision, by=(), step=step)
    told = await pipeline.engine.rollups(found)
    by_run = await pipeline.engine.rollups(Asked(since=since, until=until, id=id, run=run, revision=revision, by=("run",)))
    processes = {each.run: each for each in await pipeline.store.runs()}
    runs = [
        details.EndpointRun(
            run=key.run,
            revision=key.revision,
            first_seen_at=processes[key.run].first_seen_at if key.run in processes else None,
            **figures(sums),
        )
        for key, sums in by_run.rows
        if sums.count
    ]
    runs.sort(key=lambda each: (-(each.first_seen_at or 0.0), each.run))
    place = known.rows[0][0]
    return json_of(
        details.EndpointHistory(
            id=id,
            kind=place.kind,
            service=place.service,
            endpoint=place.endpoint,
            since=told.since,
            until=until,
            step_ms=step * MINUTE_MS,
            points=[
                details.EndpointPoint(timestamp=key.minute * MINUTE_MS, **figures(sums))
                for key, sums in sorted(told.rows, key=lambda row: row[0].minute)
                if sums.count
            ],
            runs=runs[:RUNS],
        )
    )


def figures(sums: Rollup) -> dict[str, Any]:
    """The fields of `EndpointFigures`."""
    count = max(1, sums.count)
    p50, p95, p99 = sums.durations.quantiles(0.5, 0.95, 0.99)
    return {
        "requests": sums.count,
        "errors": sums.errors,
        "refused": sums.refused,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": sums.durations.largest,
        "avg_ms": sums.durations.mean(),
        "total_ms": sums.durations.total,
        "avg_queries": sums.queries / count,
        "avg_query_ms": sums.query_ms / count,
        "avg_fetches": sums.fetches / count,
        "avg_fetch_ms": sums.fetch_ms / count,
        "avg_app_ms": sums.app_ms / count,
        "avg_bytes": sums.size_bytes / count,
    }


def stretch(asked: Any) -> tuple[float, float]:
    """`since` and `until` of a query string, in epoch milliseconds."""
    now = time.time() * 1000
    until = min(moment(asked.get("until")) or now, now)
    since = moment(asked.get("since"))
    if since is None:
        since = until - (whole(asked.get("minutes")) or MINUTES) * MINUTE_MS
    return max(since, until - LONGEST_MS, 0.0), max(until, 0.0)


def step_of(asked: str | None, length_ms: float) -> int:
    """Minutes: what is asked for, if it makes sense and not too many points."""
    minutes = length_ms / MINUTE_MS
    wanted = whole(asked)
    if wanted in STEPS and minutes / wanted <= MOST_POINTS:
        return wanted
    return next((step for step in STEPS if minutes / step <= POINTS), STEPS[-1])


ROUTES = [Route("/endpoints", many, methods=["GET"]), Route("/endpoints/{id}/history", history, methods=["GET"])]
