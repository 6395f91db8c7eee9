"""What the API answers about one thing: a request or job with its events and what it caused; an endpoint with its figures."""

from __future__ import annotations

from typing import Literal

from brakit_server.answers import Answer, Run, StatefulIssue
from brakit_server.records import AuthCheck, Error, Fetch, Job, Log, Query, Request, Span


class QueryEntry(Answer, tag_field="type", tag="query", kw_only=True):
    timestamp: float
    data: Query


class FetchEntry(Answer, tag_field="type", tag="fetch", kw_only=True):
    timestamp: float
    data: Fetch


class LogEntry(Answer, tag_field="type", tag="log", kw_only=True):
    timestamp: float
    data: Log


class ErrorEntry(Answer, tag_field="type", tag="error", kw_only=True):
    timestamp: float
    data: Error


class SpanEntry(Answer, tag_field="type", tag="span", kw_only=True):
    timestamp: float
    data: Span


class AuthEntry(Answer, tag_field="type", tag="auth", kw_only=True):
    timestamp: float
    data: AuthCheck


TimelineEntry = QueryEntry | FetchEntry | LogEntry | ErrorEntry | SpanEntry | AuthEntry
"""One event of a request or job. `type` is the reference's word for it; `span` and `auth` are ours."""


class Counts(Answer, omit_defaults=False, kw_only=True):
    """Events of a request or job by type."""

    fetches: int = 0
    logs: int = 0
    errors: int = 0
    queries: int = 0
    spans: int = 0


class Activity(Answer, kw_only=True):
    """`GET /api/activity?requestId=`: the events of one request by time."""

    request_id: str
    total: int
    timeline: list[TimelineEntry]
    counts: Counts


class ActivityOfOne(Answer, kw_only=True):
    """One request of `GET /api/activity?requestIds=`."""

    total: int
    timeline: list[TimelineEntry]
    counts: Counts


class Activities(Answer, kw_only=True):
    """`GET /api/activity?requestIds=`."""

    request_ids: list[str]
    activities: dict[str, ActivityOfOne]


class RequestChild(Answer, tag_field="type", tag="request", kw_only=True):
    """A request that another one, or a job, caused, with its own events."""

    request: Request
    timeline: list[TimelineEntry]


class JobChild(Answer, tag_field="type", tag="job", kw_only=True):
    """A job that a request, or another job, enqueued, with its own events."""

    job: Job
    timeline: list[TimelineEntry]


Child = RequestChild | JobChild


class Detail(Answer, kw_only=True):
    """What is told of a request as of a job."""

    timeline: list[TimelineEntry]
    counts: Counts
    children: list[Child]
    """What it caused, and what that caused, by start within each step; the `parentRequestId` of each says by what."""
    parent: Request | None = None
    """The request that caused it."""
    parent_job: Job | None = None
    """The job that caused it."""
    issues: list[StatefulIssue]
    """Issues that name it as evidence, or its endpoint."""
    run: Run | None = None
    """The process that it ran in."""


class RequestDetail(Detail, kw_only=True):
    """`GET /api/requests/<id>`: everything about one request."""

    request: Request


class JobDetail(Detail, kw_only=True):
    """`GET /api/jobs/<id>`: everything about one job."""

    job: Job


class EndpointFigures(Answer, omit_defaults=False, kw_only=True):
    """Figures of one endpoint, or one kind of job, over a stretch of time. Percentiles are at most 2 % off, and of all but streams."""

    requests: int
    """Or runs of the job."""
    errors: int
    """Answers of 500 and above; jobs that did not succeed."""
    refused: int
    """Answers from 400 to 499."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    avg_ms: float
    total_ms: float
    avg_queries: float
    avg_query_ms: float
    """With at least one query in flight."""
    avg_fetches: float
    avg_fetch_ms: float
    avg_app_ms: float
    """Neither in the database nor waiting for another service."""
    avg_bytes: float
    """Of responses."""


class EndpointSummaryRow(EndpointFigures, omit_defaults=False, kw_only=True):
    """One endpoint of `GET /api/endpoints`."""

    id: str
    kind: str
    """`request`, `job`, or `noise` for health checks and static files."""
    service: str | None
    endpoint: str
    """`METHOD route-template`, or the name of the job."""
    issues: int
    """Open and regressed."""


class Endpoints(Answer, kw_only=True):
    """`GET /api/endpoints`, most total time first."""

    since: float
    until: float
    total: int
    endpoints: list[EndpointSummaryRow]


class EndpointPoint(EndpointFigures, omit_defaults=False, kw_only=True):
    """A stretch of time in which there was something."""

    timestamp: float
    """Its start."""


class EndpointRun(EndpointFigures, omit_defaults=False, kw_only=True):
    """What one process did."""

    run: str
    revision: str | None
    """Git revision of the code that ran, where it is known."""
    first_seen_at: float | None
    """Of the process."""


class EndpointHistory(Answer, kw_only=True):
    """`GET /api/endpoints/<id>/history`, oldest first."""

    id: str
    kind: str
    service: str | None = None
    endpoint: str
    since: float
    until: float
    step_ms: float
    """Length of the stretches of `points`."""
    points: list[EndpointPoint]
    runs: list[EndpointRun]
    """By process, newest first, at most 50."""


# Flows


class LabeledRequest(Request, kw_only=True):
    """A request of a flow, with what it means to the person who caused it."""

    category: str
    label: str
    source_page: str | None = None
    is_duplicate: bool | None = None
    is_strict_mode_dupe: bool | None = None
    polling_count: int | None = None
    polling_duration_ms: float | None = None


class RequestFlow(Answer, omit_defaults=False, kw_only=True):
    """What the person did: the requests of one action."""

    id: str
    label: str
    requests: list[LabeledRequest]
    start_time: float
    total_duration_ms: float
    has_errors: bool
    warnings: list[str]
    source_page: str
    redundancy_pct: int


class Flows(Answer, kw_only=True):
    """`GET /api/flows`, newest first."""

    total: int
    flows: list[RequestFlow]


# Suppression


class BaselineIssue(Answer, kw_only=True):
    """One that is known. Its id decides; the rest is for people."""

    id: str
    rule: str
    service: str | None = None
    endpoint: str | None = None
    subject: str | None = None
    title: str | None = None


class Baseline(Answer, omit_defaults=False, kw_only=True):
    """`GET /api/baseline`: what to save as `brakit-baseline.json` in the project's root."""

    version: Literal[1]
    issues: list[BaselineIssue]


class Suppressed(Answer, kw_only=True):
    """What one comment, one pattern, one person's word or the baseline ignores."""

    by: Literal["comment", "settings", "baseline", "person", "agent"]
    what: str
    """The line, the pattern, the name of the file; of a person, the issue's id."""
    reason: str | None = None
    issues: list[str]
    """Ids; none where it is not needed any more, or has not been yet."""
    occurrences: int
    """Requests in which they were found."""


class SuppressedIssues(Answer, kw_only=True):
    """`GET /api/suppressions`."""

    total: int
    """Issues that are ignored."""
    occurrences: int
    suppressions: list[Suppressed]
    known: int
    """Issues in the baseline file."""
    problem: str | None = None
    """Why the baseline file cannot be read."""


# Graph


class NodeStats(Answer, omit_defaults=False, kw_only=True):
    """Of a table or a host: its calls. Counts of these are the share of the newest requests, applied to all."""

    request_count: int
    avg_latency_ms: float
    error_rate: float
    """Of endpoints: answers of 400 and above; jobs that did not succeed; calls that failed."""
    avg_query_count: float = 0.0
    last_seen_at: float
    first_seen_at: float
    per_minute: float = 0.0


class NodeFinding(Answer, kw_only=True):
    """A security issue of an endpoint."""

    rule: str
    severity: str
    title: str
    count: int


class NodeInsight(Answer, kw_only=True):
    """Another issue of it."""

    type: str
    severity: str
    title: str
    issue_id: str


class NodeAnnotations(Answer, kw_only=True):
    categories: list[str]
    has_auth: bool = False
    """Credentials came with it, or they were checked."""
    is_middleware: bool = False
    security_findings: list[NodeFinding]
    insights: list[NodeInsight]
    open_issue_count: int = 0
    p95_ms: float | None = None


class GraphNode(Answer, kw_only=True):
    id: str
    type: Literal["endpoint", "job", "table", "external"]
    label: str
    service: str | None = None
    stats: NodeStats
    annotations: NodeAnnotations


class EdgeStats(Answer, omit_defaults=False, kw_only=True):
    frequency: int
    avg_latency_ms: float
    last_seen_at: float
    first_seen_at: float


class EdgeAnnotations(Answer, kw_only=True):
    has_issue: bool = False


class GraphEdge(Answer, kw_only=True):
    id: str
    """`<source> -> <target>`."""
    source: str
    target: str
    type: Literal["reads", "writes", "fetches", "calls", "enqueues"]
    """`calls`: an endpoint of a service that is seen here too."""
    stats: EdgeStats
    patterns: list[str]
    """Statements or calls without their values, at most 10."""
    annotations: EdgeAnnotations


class ClusterInfo(Answer, kw_only=True):
    id: str
    label: str
    children: list[str]
    stats: NodeStats


class GraphMetadata(Answer, kw_only=True):
    total_observations: int
    """Requests and jobs in this time."""
    last_updated_at: float
    since: float
    sampled: int
    """Newest requests and jobs, of each endpoint some, whose queries and calls were looked at."""
    complete: bool
    """False where the least busy endpoints, tables or hosts were left out."""


class Graph(Answer, omit_defaults=False, kw_only=True):
    """`GET /api/graph`."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    clusters: list[ClusterInfo]
    metadata: GraphMetadata


# Changes


class ShapeChange(Answer, omit_defaults=False, kw_only=True):
    """A name in a JSON answer that came, went, or has another type."""

    path: str
    """`items[].price`; empty for the whole."""
    before: str | None
    """Types; None where it was not there."""
    after: str | None


class Side(Answer, omit_defaults=False, kw_only=True):
    """One endpoint in some processes."""

    runs: list[str]
    revision: str | None
    last_seen_at: float
    requests: int
    avg_queries: float
    p50_ms: float
    p95_ms: float
    error_rate: float


class Comparison(Answer, omit_defaults=False, kw_only=True):
    before: Side
    after: Side
    changed: list[Literal["queries", "time", "errors", "shape"]]
    shape: list[ShapeChange] | None
    """None where answers of one side are not there any more, or are no JSON."""


class EndpointChanges(Answer, omit_defaults=False, kw_only=True):
    """One endpoint, or kind of job."""

    id: str
    kind: str
    service: str | None
    endpoint: str
    run: Comparison
    """The newest processes in which it was called against those before; several that ran side by side are one."""
    revision: Comparison | None
    """The newest git revision in which it was called against the one before, where they are known."""


class Changes(Answer, omit_defaults=False, kw_only=True):
    """`GET /api/changes`."""

    since: float
    total: int
    endpoints: list[EndpointChanges]
