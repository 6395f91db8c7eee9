"""`Point`: the figures of one request, and on what it spent its time."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from brakit_server.analysis.endpoint import templated
from brakit_server.analysis.timeline import Timeline, busy_ms, took_ms
from brakit_server.records import Callsite, Fetch, Query, Request


class Part(msgspec.Struct, kw_only=True):
    """The statement or call on which a request spent most: what to name when the endpoint is slow."""

    key: str
    text: str
    """`SELECT on items`, `GET payments.internal/charge`."""
    ms: float
    count: int
    call_site: Callsite | None = None
    sql: str | None = None
    kind: Literal["query", "fetch"]


class Point(msgspec.Struct, kw_only=True):
    """One request of an endpoint, as far as figures need it. Times in milliseconds."""

    request_id: str
    run: str
    started: float
    duration_ms: float
    status: int
    queries: int = 0
    query_ms: float = 0.0
    fetches: int = 0
    fetch_ms: float = 0.0
    stream: bool = False
    """Open on purpose (server-sent events), or given up by the client: its duration says nothing."""
    cold: bool = False
    """The first of its endpoint in its run."""
    top: Part | None = None

    @property
    def ended(self) -> float:
        return self.started + self.duration_ms

    @property
    def app_ms(self) -> float:
        """Neither in the database nor waiting for another service."""
        return max(0.0, self.duration_ms - self.query_ms - self.fetch_ms)

    def timed(self) -> bool:
        """Whether its duration says how fast the endpoint is: not for streams and refused requests."""
        return not self.stream and not 400 <= self.status < 500


def point_of(request: Request, timeline: Timeline) -> Point:
    """The figures of a request whose events are all there."""
    content_type = request.response_headers.get("content-type", "")
    return Point(
        request_id=request.id,
        run=request.run or "",
        started=request.timestamp,
        duration_ms=request.duration_ms,
        status=request.status_code,
        queries=len(timeline.queries),
        query_ms=busy_ms(timeline, timeline.queries),
        fetches=len(timeline.fetches),
        fetch_ms=busy_ms(timeline, timeline.fetches),
        stream=bool(request.cancelled) or content_type.startswith("text/event-stream"),
        top=_largest(timeline),
    )


def _largest(timeline: Timeline) -> Part | None:
    parts = [_queries(key, queries) for key, queries in timeline.by_shape.items()]
    calls: dict[str, list[Fetch]] = {}
    for fetch in timeline.fetches:
        calls.setdefault(_target(fetch), []).append(fetch)
    parts += [_calls(target, fetches) for target, fetches in calls.items()]
    return max(parts, key=lambda part: part.ms, default=None)


def _queries(key: str, queries: list[Query]) -> Part:
    slowest = max(queries, key=took_ms)
    return Part(
        kind="query",
        key=key,
        text=f"{slowest.operation} on {slowest.table}" if slowest.table else slowest.operation,
        ms=sum(took_ms(query) for query in queries),
        count=len(queries),
        call_site=slowest.call_site,
        sql=slowest.sql,
    )


def _calls(target: str, fetches: list[Fetch]) -> Part:
    slowest = max(fetches, key=took_ms)
    total = sum(took_ms(fetch) for fetch in fetches)
    return Part(kind="fetch", key=target, text=target, ms=total, count=len(fetches), call_site=slowest.call_site)


def _target(fetch: Fetch) -> str:
    try:
        parts = urlsplit(fetch.url)
    except ValueError:
        return f"{fetch.method} {fetch.url}"
    return f"{fetch.method} {parts.netloc.rpartition('@')[2]}{templated(parts.path)}"
