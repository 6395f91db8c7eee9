"""The graph: endpoints and jobs, the tables that they use, the hosts and services that they call, and the issues on the way.

Figures of endpoints are those of the rollups. What an endpoint uses is seen in some of its newest requests, as they are stored, so that
what came late and what was cleared is there and not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.issues import ALIVE
from brakit_server.analysis.labels import category_of
from brakit_server.analysis.timeline import Place, Root, Timeline, took_ms
from brakit_server.answers import StatefulIssue
from brakit_server.details import (
    EdgeAnnotations,
    EdgeStats,
    Graph,
    GraphEdge,
    GraphMetadata,
    GraphNode,
    NodeAnnotations,
    NodeFinding,
    NodeInsight,
    NodeStats,
)
from brakit_server.records import Entry, Fetch, Job, Query, Request
from brakit_server.stores.rollups import MINUTE_MS, Rollup, RollupKey

ENDPOINTS = 300
"""Most frequent endpoints and jobs that are shown."""
OTHERS = 300
"""Most frequent tables and hosts."""
PATTERNS = 10
READS = frozenset({"SELECT", "SHOW", "EXPLAIN", "DESCRIBE"})
_COOKIES = ("session", "auth", "access_token", "__clerk", "jwt")

EdgeType = Literal["reads", "writes", "fetches", "calls", "enqueues"]


class Seen(NamedTuple):
    """What is looked at."""

    rows: list[tuple[RollupKey, Rollup]]
    roots: Mapping[str, Root]
    """The newest requests and jobs, and what enqueued the jobs."""
    events: Mapping[str, list[Entry]]
    """By request or job."""
    issues: list[StatefulIssue]
    since: float
    until: float


class _Calls:
    """What is summed up on an edge, or of a table or host."""

    def __init__(self) -> None:
        self.count = 0.0
        self.ms = 0.0
        self.failed = 0.0
        self.first, self.last = float("inf"), 0.0
        self.patterns: dict[str, None] = {}
        self.sites: set[tuple[str, str]] = set()
        self.writes = False

    def add(self, weight: float, ms: float, at: float, *, failed: bool = False) -> None:
        self.count += weight
        self.ms += weight * ms
        self.failed += weight * failed
        self.first, self.last = min(self.first, at), max(self.last, at)


class _Builder:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        rows = [(key, sums) for key, sums in seen.rows if sums.count and key.kind != "noise"]
        rows.sort(key=lambda row: (-row[1].count, row[0].endpoint, row[0].service or ""))
        self.complete = len(rows) <= ENDPOINTS
        self.rows = rows[:ENDPOINTS]
        names = [(key.kind, key.endpoint) for key, _ in self.rows]
        self.ids: dict[tuple[str, str | None, str], str] = {}
        for key, _ in self.rows:
            kind = "job" if key.kind == "job" else "endpoint"
            several = names.count((key.kind, key.endpoint)) > 1
            self.ids[kind, key.service, key.endpoint] = (
                f"{kind}:{key.service or ''}:{key.endpoint}" if several else f"{kind}:{key.endpoint}"
            )
        self.places: dict[str, Place] = {id: (service, endpoint) for (_, service, endpoint), id in self.ids.items()}
        self.alive: dict[Place, list[StatefulIssue]] = {}
        for issue in seen.issues:
            if issue.state in ALIVE:
                self.alive.setdefault((issue.issue.service, issue.issue.endpoint), []).append(issue)
        self.sampled: dict[str, list[Timeline]] = {}
        for id, root in seen.roots.items():
            if id in seen.events:
                timeline = Timeline(root, seen.events[id])
                node = self.node_of(timeline)
                if node is not None:
                    self.sampled.setdefault(node, []).append(timeline)
        self.edges: dict[tuple[str, str, EdgeType], _Calls] = {}
        self.others: dict[str, _Calls] = {}

    def node_of(self, timeline: Timeline) -> str | None:
        kind = "job" if timeline.job is not None else "endpoint"
        return self.ids.get((kind, timeline.service, timeline.endpoint or ""))

    def build(self) -> Graph:
        counts = {
            self.ids["job" if key.kind == "job" else "endpoint", key.service, key.endpoint]: sums.count for key, sums in self.rows
        }
        called = {
            timeline.request.parent_fetch_id: node
            for node, timelines in self.sampled.items()
            for timeline in timelines
            if timeline.request is not None and timeline.request.parent_fetch_id
        }
        for node, timelines in self.sampled.items():
            weight = counts[node] / len(timelines)
            for timeline in timelines:
                for query in timeline.queries:
                    self._query(node, query, weight)
                for fetch in timeline.fetches:
                    self._fetch(node, fetch, weight, called)
                if timeline.job is not None:
                    self._enqueued(node, timeline.job, weight)
        kept = sorted(self.others, key=lambda other: (-self.others[other].count, other))
        complete = self.complete and len(kept) <= OTHERS
        shown = set(kept[:OTHERS])
        nodes = [*(self._endpoint(key, sums) for key, sums in self.rows), *(self._other(id) for id in kept[:OTHERS])]
        return Graph(
            nodes=nodes,
            edges=[
                self._edge(source, target, type, calls)
                for (source, target, type), calls in sorted(self.edges.items())
                if target in shown or target not in self.others
            ],
            clusters=[],
            metadata=GraphMetadata(
                total_observations=sum(sums.count for _, sums in self.rows),
                last_updated_at=max((node.stats.last_seen_at for node in nodes), default=0.0),
                since=self.seen.since,
                sampled=sum(map(len, self.sampled.values())),
                complete=complete,
            ),
        )

    def _query(self, node: str, query: Query, weight: float) -> None:
        if not query.table:
            return
        target = f"table:{query.table}"
        writes = query.operation.upper() not in READS
        calls = self.edges.setdefault((node, target, "writes" if writes else "reads"), _Calls())
        self._count(target, calls, weight, query, took_ms(query), failed=query.error is not None)
        pattern = query.shape or query.sql
        if pattern and len(calls.patterns) < PATTERNS:
            calls.patterns[pattern] = None

    def _fetch(self, node: str, fetch: Fetch, weight: float, called: Mapping[str, str]) -> None:
        callee = called.get(fetch.fetch_id or "")
        failed = fetch.error is not None or fetch.status_code >= 400
        if callee is not None:
            calls = self.edges.setdefault((node, callee, "calls"), _Calls())
            self._count(None, calls, weight, fetch, fetch.duration_ms, failed=failed)
        else:
            target = f"external:{_host(fetch.url)}"
            calls = self.edges.setdefault((node, target, "fetches"), _Calls())
            self._count(target, calls, weight, fetch, fetch.duration_ms, failed=failed)
        if len(calls.patterns) < PATTERNS:
            calls.patterns[target_of(fetch)] = None

    def _enqueued(self, node: str, job: Job, weight: float) -> None:
        cause = self.seen.roots.get(job.parent_request_id or "")
        source = self.node_of(Timeline(cause, ())) if cause is not None and cause.id != job.id else None
        if source is not None:
            calls = self.edges.setdefault((source, node, "enqueues"), _Calls())
            calls.add(weight, job.wait_ms or 0.0, job.timestamp)

    def _count(self, target: str | None, calls: _Calls, weight: float, event: Query | Fetch, ms: float, *, failed: bool) -> None:
        for each in (calls, self.others.setdefault(target, _Calls()) if target is not None else None):
            if each is not None:
                each.add(weight, ms, event.timestamp, failed=failed)
                if event.call_site is not None and len(each.sites) < 1000:
                    each.sites.add((event.call_site.file, event.call_site.function))

    def _endpoint(self, key: RollupKey, sums: Rollup) -> GraphNode:
        kind: Literal["job", "endpoint"] = "job" if key.kind == "job" else "endpoint"
        id = self.ids[kind, key.service, key.endpoint]
        timelines = self.sampled.get(id, [])
        requests = [timeline.request for timeline in timelines if timeline.request is not None]
        times = [timeline.started for timeline in timelines]
        alive = self.alive.get((key.service, key.endpoint), [])
        return GraphNode(
            id=id,
            type=kind,
            label=key.endpoint,
            service=key.service,
            stats=NodeStats(
                request_count=sums.count,
                avg_latency_ms=sums.durations.mean(),
                error_rate=(sums.errors + sums.refused) / sums.count,
                avg_query_count=sums.queries / sums.count,
                first_seen_at=min(times, default=self.seen.since),
                last_seen_at=max(times, default=self.seen.since),
                per_minute=_per_minute(sums.count, self.seen),
            ),
            annotations=NodeAnnotations(
                categories=sorted({category_of(request) for request in requests}),
                has_auth=any(_credentials(request) for request in requests) or any(each.auth_checks for each in timelines),
                is_middleware=any(category_of(request) == "middleware" for request in requests),
                security_findings=[
                    NodeFinding(
                        rule=each.issue.rule, severity=each.issue.severity, title=each.issue.title, count=each.occurrences
                    )
                    for each in alive
                    if each.category == "security"
                ],
                insights=[
                    NodeInsight(
                        type=each.issue.rule, severity=each.issue.severity, title=each.issue.title, issue_id=each.issue_id
                    )
                    for each in alive
                    if each.category != "security"
                ],
                open_issue_count=len(alive),
                p95_ms=sums.durations.quantile(0.95),
            ),
        )

    def _other(self, id: str) -> GraphNode:
        calls = self.others[id]
        return GraphNode(
            id=id,
            type="table" if id.startswith("table:") else "external",
            label=id.partition(":")[2],
            stats=NodeStats(
                request_count=round(calls.count),
                avg_latency_ms=calls.ms / calls.count,
                error_rate=calls.failed / calls.count,
                first_seen_at=calls.first,
                last_seen_at=calls.last,
                per_minute=_per_minute(calls.count, self.seen),
            ),
            annotations=NodeAnnotations(categories=[], security_findings=[], insights=[]),
        )

    def _edge(self, source: str, target: str, type: EdgeType, calls: _Calls) -> GraphEdge:
        alive = self.alive.get(self.places[source], ())
        sites = {(i.issue.call_site.file, i.issue.call_site.function) for i in alive if i.issue.call_site is not None}
        return GraphEdge(
            id=f"{source} -> {target}",
            source=source,
            target=target,
            type=type,
            stats=EdgeStats(
                frequency=max(1, round(calls.count)),
                avg_latency_ms=calls.ms / calls.count,
                first_seen_at=calls.first,
                last_seen_at=calls.last,
            ),
            patterns=list(calls.patterns),
            annotations=EdgeAnnotations(has_issue=bool(sites & calls.sites)),
        )


def graph(seen: Seen) -> Graph:
    """All of it, without clusters; endpoints first, most frequent first."""
    return _Builder(seen).build()


def _per_minute(count: float, seen: Seen) -> float:
    return count * MINUTE_MS / max(MINUTE_MS, seen.until - seen.since)


def _host(url: str) -> str:
    """The host; of one on this machine with its port, which is what tells services there apart."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "unknown", parts.port
    except ValueError:
        return "unknown"
    local = host in ("localhost", "::1") or host.startswith("127.")
    return f"{host}:{port}" if local and port else host


def _credentials(request: Request) -> bool:
    cookie = request.headers.get("cookie", "").lower()
    named = any(word in part.partition("=")[0] for part in cookie.split(";") for word in _COOKIES)
    return "authorization" in request.headers or named or request.status_code == 401
