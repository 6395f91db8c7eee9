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
from brakit_server.stores.rollups import Asked, Rollup, Told

MINUTES = 60
LONGEST = 7 * 24 * 60
POINTS = 20_000
"""Newest requests that percentiles and buckets are of."""

BUCKETS = 60
WIDTHS = (1, 2, 5, 10, 20, 30, 60, 120, 180)
"""Minutes of a bucket from an hour on."""

ENDPOINTS = 12
ISSUES = 6
ERRORS = 5


async def get(request: Request) -> Response:
    """Over the last `minutes`: 60, up to a week. Less than an hour is exact, more is of whole minutes or hours."""
    pipeline = pipeline_of(request)
    minutes = min(whole(request.query_params.get("minutes")) or MINUTES, LONGEST)
    now = time.time() * 1000
    since = now - minutes * 60_000
    counts = await pipeline.store.counts(since)
    open_issues = [issue for issue in pipeline.engine.issues() if issue.state in ("open", "regressed")]
    runs = await pipeline.store.runs()
    endpoints = await pipeline.engine.rollups(Asked(since=since, until=now, kind="request"))
    if minutes < MINUTES:
        points = await pipeline.store.points(since, POINTS)
        times = sorted(point.duration_ms for point in points)
        requests, errors = counts.get("request", 0), sum(point.status_code >= 500 for point in points)
        p50, p95 = _percentile(times, 0.5), _percentile(times, 0.95)
        shown = buckets(points, since, now)
    else:
        step = next(width for width in WIDTHS if width * BUCKETS >= minutes)
        rows = []
        for kind in ("request", "noise"):
            told = await pipeline.engine.rollups(Asked(since=since + 60_000, until=now, kind=kind, by=(), step=step))
            rows += [(key.minute, sums) for key, sums in told.rows]
        whole_range = Rollup()
        for _, sums in rows:
            whole_range.add(sums)
        requests, errors = whole_range.count, whole_range.errors
        p50, p95 = whole_range.durations.quantiles(0.5, 0.95) if requests else (None, None)
        shown = stretches(rows, int(told.since // 60_000), int(now // 60_000), step)
    return json_of(
        answers.Overview(
            since=since,
            requests=requests,
            errors=errors,
            p50_ms=p50,
            p95_ms=p95,
            queries=counts.get("db.query", 0),
            fetches=counts.get("fetch", 0),
            logs=counts.get("log", 0),
            exceptions=counts.get("error", 0),
            buckets=shown,
            endpoints=_endpoints(endpoints, open_issues),
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


def stretches(rows: list[tuple[int, Rollup]], first: int, last: int, step: int) -> list[answers.Bucket]:
    """The minutes from `first` to `last` in stretches of `step`, at most about 60."""
    held: dict[int, Rollup] = defaultdict(Rollup)
    for minute, sums in rows:
        held[minute].add(sums)
    result = []
    for start in range(first - first % step, last + 1, step):
        sums = held[start]
        p50, p95 = sums.durations.quantiles(0.5, 0.95) if sums.count else (None, None)
        result.append(answers.Bucket(timestamp=start * 60_000.0, requests=sums.count, errors=sums.errors, p50_ms=p50, p95_ms=p95))
    return result


def _endpoints(told: Told, issues: list[answers.StatefulIssue]) -> list[answers.EndpointRow]:
    busiest = sorted(told.rows, key=lambda row: -row[1].durations.total)[:ENDPOINTS]
    rows = []
    for key, sums in busiest:
        count = max(1, sums.count)
        spent = sums.query_ms + sums.fetch_ms + sums.app_ms
        p50, p95 = sums.durations.quantiles(0.5, 0.95)
        rows.append(
            answers.EndpointRow(
                endpoint=key.endpoint,
                service=key.service,
                requests=sums.count,
                errors=sums.errors,
                p50_ms=p50,
                p95_ms=p95,
                avg_query_count=sums.queries / count,
                db_share=sums.query_ms / spent if spent else 0.0,
                fetch_share=sums.fetch_ms / spent if spent else 0.0,
                issues=sum(one.issue.endpoint == key.endpoint and one.issue.service in (None, key.service) for one in issues),
            )
        )
    return rows


def _percentile(ordered: list[float], q: float) -> float | None:
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


ROUTES = [Route("/overview", get, methods=["GET"])]
