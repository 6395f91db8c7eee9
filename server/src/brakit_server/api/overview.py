"""`GET /api/overview?minutes=`: health at a glance."""

from __future__ import annotations

import math
import time
from collections import defaultdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of, whole
from brakit_server.stores import RequestPoint, Where

MINUTES = 60
LONGEST = 7 * 24 * 60
POINTS = 20_000
"""Newest requests that percentiles and buckets are of."""

BUCKETS = 60
ENDPOINTS = 12
ISSUES = 6
ERRORS = 5


async def get(request: Request) -> Response:
    """Over the last `minutes`: 60, up to a week."""
    pipeline = pipeline_of(request)
    minutes = min(whole(request.query_params.get("minutes")) or MINUTES, LONGEST)
    now = time.time() * 1000
    since = now - minutes * 60_000
    points = await pipeline.store.points(since, POINTS)
    counts = await pipeline.store.counts(since)
    open_issues = [issue for issue in pipeline.engine.issues() if issue.state in ("open", "regressed")]
    live = {(one.service, one.endpoint): one for one in pipeline.engine.live_metrics()}
    runs = await pipeline.store.runs()
    times = sorted(point.duration_ms for point in points)
    return json_of(
        answers.Overview(
            since=since,
            requests=counts.get("request", 0),
            errors=sum(point.status_code >= 500 for point in points),
            p50_ms=_percentile(times, 0.5),
            p95_ms=_percentile(times, 0.95),
            queries=counts.get("db.query", 0),
            fetches=counts.get("fetch", 0),
            logs=counts.get("log", 0),
            exceptions=counts.get("error", 0),
            buckets=buckets(points, since, now),
            endpoints=_endpoints(points, live, open_issues),
            issues=open_issues[:ISSUES],
            recent_errors=await pipeline.store.error_groups(Where(since=since, limit=ERRORS)),
            services=sorted({run.service for run in runs if run.last_seen_at >= since}),
        )
    )


def buckets(points: list[RequestPoint], since: float, now: float) -> list[answers.Bucket]:
    """The time from `since` to `now` in 60 equal stretches."""
    width = max(1.0, (now - since) / BUCKETS)
    held: dict[int, list[RequestPoint]] = defaultdict(list)
    for point in points:
        held[min(BUCKETS - 1, max(0, int((point.timestamp - since) / width)))].append(point)
    result = []
    for number in range(BUCKETS):
        times = sorted(point.duration_ms for point in held[number])
        result.append(
            answers.Bucket(
                timestamp=since + number * width,
                requests=len(times),
                errors=sum(point.status_code >= 500 for point in held[number]),
                p50_ms=_percentile(times, 0.5),
                p95_ms=_percentile(times, 0.95),
            )
        )
    return result


def _endpoints(
    points: list[RequestPoint],
    live: dict[tuple[str | None, str], answers.LiveEndpointData],
    issues: list[answers.StatefulIssue],
) -> list[answers.EndpointRow]:
    held: dict[tuple[str | None, str], list[RequestPoint]] = defaultdict(list)
    for point in points:
        held[point.service, point.endpoint].append(point)
    busiest = sorted(held.items(), key=lambda item: -sum(point.duration_ms for point in item[1]))[:ENDPOINTS]
    rows = []
    for (service, endpoint), some in busiest:
        times = sorted(point.duration_ms for point in some)
        known = live.get((service, endpoint))
        summary = known.summary if known else None
        spent = summary.avg_query_time_ms + summary.avg_fetch_time_ms + summary.avg_app_time_ms if summary else 0.0
        rows.append(
            answers.EndpointRow(
                endpoint=endpoint,
                service=service,
                requests=len(some),
                errors=sum(point.status_code >= 500 for point in some),
                p50_ms=_percentile(times, 0.5) or 0.0,
                p95_ms=_percentile(times, 0.95) or 0.0,
                avg_query_count=summary.avg_query_count if summary else 0.0,
                db_share=summary.avg_query_time_ms / spent if summary and spent else 0.0,
                fetch_share=summary.avg_fetch_time_ms / spent if summary and spent else 0.0,
                issues=sum(one.issue.endpoint == endpoint and one.issue.service in (None, service) for one in issues),
            )
        )
    return rows


def _percentile(ordered: list[float], q: float) -> float | None:
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


ROUTES = [Route("/overview", get, methods=["GET"])]
