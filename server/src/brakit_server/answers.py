"""What the API answers, beside the records themselves: one class a shape of JSON.

Field names are the reference's where it has the same thing; its clients read them. All times are Unix epoch milliseconds, all
durations milliseconds, all rates fractions from 0 to 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from brakit_server.records import Callsite, Error, Fetch, Frame, Job, Log, Query, Request

Severity = Literal["critical", "warning", "info"]
State = Literal["open", "fixing", "resolved", "stale", "regressed", "ignored"]
Category = Literal["security", "performance", "reliability"]
Confidence = Literal["certain", "likely", "possible"]


class Answer(msgspec.Struct, rename="camel", omit_defaults=True):
    """A JSON object of the API. Fields that are unknown are left out."""


# Lists


class Listed(Answer, kw_only=True):
    """A page of a list."""

    total: int
    next: str | None = None
    """Cursor of the next page: pass it as `before`."""
    complete: bool = True
    """False where time ran out: `total` is of what was looked at, and `next` goes on from there."""
    at_least: bool = False
    """There may be more than `total`: what fits far behind the page is not counted."""


class Requests(Listed, kw_only=True):
    """`GET /api/requests`, newest first."""

    requests: list[Request]


class Queries(Listed, kw_only=True):
    """`GET /api/queries`, newest first."""

    entries: list[Query]


class Fetches(Listed, kw_only=True):
    """`GET /api/fetches`, newest first."""

    entries: list[Fetch]


class Logs(Listed, kw_only=True):
    """`GET /api/logs`, newest first."""

    entries: list[Log]


class Errors(Listed, kw_only=True):
    """`GET /api/errors`, newest first."""

    entries: list[Error]


class Jobs(Listed, kw_only=True):
    """`GET /api/jobs`, newest first."""

    entries: list[Job]


# Issues


class Issue(Answer, kw_only=True):
    """What a rule found."""

    category: Category
    rule: str
    severity: Severity
    title: str
    desc: str
    hint: str
    """What to change."""
    detail: str | None = None
    endpoint: str | None = None
    """`METHOD route-template`."""
    service: str | None = None
    subject: str | None = None
    """What it is about within the endpoint: a query shape, an exception class."""
    call_site: Callsite | None = None
    """The line to change."""
    evidence: list[str] = []
    """Ids of the newest requests (and for an error outside a request: events) that show it, at most 10."""
    cost_ms: float | None = None
    """Milliseconds that a request would save, as far as they can be known."""
    sql: str | None = None
    """The statement, where there is one."""
    confidence: Confidence = "certain"
    """Whether what was seen proves it: `possible` where only the person who wrote the code can tell."""
    fix: str | None = None
    """The change in code or settings, where it can be said to the letter."""


class Change(Answer, kw_only=True):
    """One step in the life of an issue."""

    at: float
    state: State
    """The state from then on."""
    by: Literal["engine", "person", "agent"]
    why: str


class CodePath(Answer, kw_only=True):
    """What the requests that show an issue had in common: one without it counts only if it went the same way."""

    needs: list[str] = []
    """What all of them ran beside what the issue is about: `SELECT orders`, `POST payments.internal/charge`; at most 20."""
    many: list[str] = []
    """Those of them that brought several rows: with one row, a loop over them cannot be told from none."""
    own: list[str] = []
    """What the issue is about: where that ran, the others need not."""
    shape: str | None = None
    """Statement that ran several times with other parameters: where it ran once, nothing is known."""
    status_codes: list[int] = []
    run: str | None = None
    """Process of the newest."""


class Suppression(Answer, kw_only=True):
    """Why an issue is known and not to be shown as open."""

    by: Literal["comment", "settings", "baseline"]
    what: str
    """The line, the pattern, or the name of the file."""
    reason: str | None = None


class StatefulIssue(Answer, omit_defaults=False, kw_only=True):
    """An issue: a finding with its life."""

    issue_id: str
    state: State
    source: Literal["passive"]
    category: Category
    issue: Issue
    first_seen_at: float
    last_seen_at: float
    resolved_at: float | None = None
    occurrences: int
    """Requests in which it was found."""
    clean_hits_since_last_seen: int
    """Requests of its endpoint since then that went the same way through the code and did not show it."""
    hits_off_path_since_last_seen: int = 0
    """Requests of its endpoint since then that went another way: they say nothing about it."""
    clean_hits_needed: int = 5
    """How many of those make it resolved; more for an issue that came back."""
    ai_status: Literal["fixed", "wont_fix"] | None = None
    ai_notes: str | None = None
    path: CodePath | None = None
    """None where it is judged by all requests of its endpoint together."""
    suppression: Suppression | None = None
    """What ignores it; None where a person or an agent does."""
    history: list[Change] = []
    """Every change, oldest first: the first one and the newest 49."""


class Insights(Answer, kw_only=True):
    """`GET /api/insights` and `/api/security`."""

    issues: list[StatefulIssue]


class Findings(Answer, kw_only=True):
    """`GET /api/findings`."""

    total: int
    findings: list[StatefulIssue]


# Groups


class QueryShape(Answer, kw_only=True):
    """All statements of one shape."""

    shape_hash: str
    shape: str
    """The statement without its values."""
    operation: str
    table: str
    system: str | None = None
    services: list[str]
    count: int
    errors: int
    total_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    rows: int | None = None
    """Rows read or changed in all, where the driver told."""
    requests: int
    """Requests in which it ran."""
    endpoints: list[str]
    """Where it ran, most often first, at most 10."""
    call_sites: list[Callsite]
    """Most frequent first, at most 5."""
    last_seen_at: float
    last_request_id: str | None = None


class QueryShapes(Answer, kw_only=True):
    """`GET /api/shapes`, by total time."""

    total: int
    shapes: list[QueryShape]


class ErrorGroup(Answer, kw_only=True):
    """Errors of one class from one line."""

    key: str
    name: str
    message: str
    """Of the newest."""
    count: int
    first_seen_at: float
    last_seen_at: float
    handled: bool
    services: list[str]
    endpoints: list[str]
    frame: Frame | None = None
    """Innermost own frame, with its source lines."""
    last: Error
    last_request_id: str | None = None
    """Owner of the newest."""
    last_job_id: str | None = None
    """The same, where it is a job."""


class ErrorGroups(Answer, kw_only=True):
    """`GET /api/errors/groups`, newest first."""

    total: int
    groups: list[ErrorGroup]


# Endpoints


class LiveRequestPoint(Answer, kw_only=True):
    """One request of an endpoint."""

    timestamp: float
    duration_ms: float
    status_code: int
    query_count: int
    query_time_ms: float
    fetch_time_ms: float
    request_id: str | None = None


class EndpointSummary(Answer, kw_only=True):
    """Figures of one endpoint."""

    p95_ms: float
    median_ms: float
    error_rate: float
    avg_query_count: float
    total_requests: int
    avg_query_time_ms: float
    avg_fetch_time_ms: float
    avg_app_time_ms: float


class SessionMetric(Answer, kw_only=True):
    """Figures of one endpoint in one run of its service."""

    session_id: str
    started_at: float
    avg_duration_ms: float
    p95_duration_ms: float
    request_count: int
    error_count: int
    avg_query_count: float
    avg_query_time_ms: float
    avg_fetch_time_ms: float


class LiveEndpointData(Answer, omit_defaults=False, kw_only=True):
    """One endpoint of `GET /api/metrics/live`."""

    endpoint: str
    requests: list[LiveRequestPoint]
    summary: EndpointSummary
    sessions: list[SessionMetric] = []
    baseline_p95_ms: float | None = None
    service: str | None = None


class LiveMetrics(Answer, kw_only=True):
    """`GET /api/metrics/live`, slowest first."""

    endpoints: list[LiveEndpointData]


class EndpointMetrics(Answer, kw_only=True):
    """One endpoint of `GET /api/metrics`."""

    endpoint: str
    sessions: list[SessionMetric]
    data_points: list[LiveRequestPoint] = []


class Metrics(Answer, kw_only=True):
    """`GET /api/metrics`."""

    endpoints: list[EndpointMetrics]


# The server


class Run(Answer, kw_only=True):
    """One process that sends or has sent."""

    run: str
    service: str
    host: str | None = None
    pid: int | None = None
    started: float | None = None
    runtime: str | None = None
    framework: str | None = None
    sdk: str | None = None
    root: str | None = None
    """Project root: what paths of call sites are relative to."""
    revision: str | None = None
    """Git revision of the project, where it is a checkout."""
    instrumentations: dict[str, str] = {}
    """Name and version of each library that is seen; a reason for each that was refused."""
    failures: dict[str, str] = {}
    """What failed in the SDK itself, by place."""
    first_seen_at: float
    last_seen_at: float
    events: int
    dropped: dict[str, int] = {}


class RuleNotice(Answer, kw_only=True):
    """A rule that is not asked any more since it failed or took too long several times."""

    rule: str
    reason: str
    """What it did the last time."""


class Status(Answer, kw_only=True):
    """`GET /api/status`: the server and what sends to it."""

    version: str
    started_at: float
    project: str
    """Name of the project's folder."""
    database_bytes: int
    max_bytes: int
    max_age_days: float
    events: dict[str, int]
    """Stored events by kind."""
    dropped: dict[str, int]
    """Events that the SDKs had to drop, by reason."""
    rejected: int
    """Events that were refused since the start."""
    read_only: str | None = None
    """Why nothing is stored, where nothing can be: the file was written by a newer version."""
    runs: list[Run]
    quarantined_rules: list[str] = []
    """Rules that failed or took too long, and were set aside."""
    rule_notices: list[RuleNotice] = []
    """The same, with reasons."""
    requests_to_judge: int = 0
    """Requests and jobs that the rules are still to be asked about."""
    requests_not_judged: int = 0
    """Those since the start that they could not be asked about because too many came; their figures are counted."""


class Durations(Answer, kw_only=True):
    """How long something took, each time since the start. Percentiles are bounds of the buckets that they lie in."""

    count: int
    total_ms: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float


class OpenConnections(Answer, kw_only=True):
    """Connections to the server."""

    open: int
    most: int
    """Open at a time, at most."""
    closed: dict[str, int]
    """Those that the server closed, by reason: `head`, `body` and `unread` took too long, `size` was too large, `invalid` was no HTTP,
    `room` was needed for others."""


class Health(Answer, kw_only=True):
    """`GET /api/health`: the server about itself; counts are since its start."""

    status: Literal["ok", "degraded"]
    problems: list[str]
    """Sentences; none where all is well."""
    version: str
    uptime_ms: float
    received: int
    """Events that were stored."""
    batches: int
    rejected: dict[str, int]
    """Events that were refused, by reason."""
    dropped: dict[str, int]
    """Events that the SDKs had to drop, by reason, as far as their reports are stored."""
    answers: dict[str, int]
    """Answers to SDKs, by status."""
    refused: dict[str, int]
    """Calls that were turned away at the gate, by status."""
    commits: Durations
    """From a batch that is checked to one that is stored."""
    waiting: int
    """Batches that are being stored."""
    to_judge: int
    """Requests and jobs that the rules have not seen yet."""
    not_judged: int
    """Those that they will not see, because too many came."""
    rule_seconds: dict[str, float]
    """Time that each rule has taken."""
    streams: int
    """Open event streams."""
    connections: OpenConnections
    database_bytes: int | None = None
    """None where the store does not answer."""
    memory_bytes: int | None = None
    """None where the system does not say."""
    max_memory: int


class Bucket(Answer, kw_only=True):
    """Requests of one stretch of time."""

    timestamp: float
    requests: int
    errors: int
    """Answers of 500 and above."""
    p50_ms: float | None = None
    p95_ms: float | None = None


class EndpointRow(Answer, kw_only=True):
    """One endpoint in the overview."""

    endpoint: str
    service: str | None = None
    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    avg_query_count: float
    db_share: float
    """Fraction of the time spent in the database."""
    fetch_share: float
    issues: int


class Overview(Answer, kw_only=True):
    """`GET /api/overview?minutes=`: health at a glance."""

    since: float
    requests: int
    errors: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    queries: int
    fetches: int
    logs: int
    exceptions: int
    buckets: list[Bucket]
    endpoints: list[EndpointRow]
    """Most total time first, at most 12."""
    issues: list[StatefulIssue]
    """Open and regressed, worst first, at most 6."""
    recent_errors: list[ErrorGroup]
    """Newest first, at most 5."""
    services: list[str]
