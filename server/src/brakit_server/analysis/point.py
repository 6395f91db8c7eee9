"""`Point`: the figures of one request or job, and on what it spent its time."""

from __future__ import annotations

from typing import Literal

import msgspec

from brakit_server.analysis.secrecy import SessionCookie, credentials, session_cookies
from brakit_server.analysis.timeline import Kind, Timeline, busy_ms, took_ms
from brakit_server.records import Callsite, Fetch, Query, Request

_DOCUMENTS = (
    "application/json",
    "application/problem+json",
    "application/xml",
    "application/xhtml",
    "text/html",
    "text/plain",
    "text/xml",
)
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})


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
    """One request or job of an endpoint, as far as figures need it. Times in milliseconds."""

    request_id: str
    """Id of the request or job."""
    run: str
    started: float
    duration_ms: float
    status: int
    """Of a job: 200 when it succeeded, 500 when not."""
    kind: Kind = "request"
    revision: str | None = None
    queries: int = 0
    query_ms: float = 0.0
    rows: int = 0
    """Read or changed, as far as drivers told."""
    fetches: int = 0
    fetch_ms: float = 0.0
    errors: int = 0
    """Exceptions, those among them that the app handled."""
    auth_checks: int = 0
    written: tuple[str, ...] = ()
    """Tables that it wrote to."""
    credentials: bool = False
    """It wrote, and brought something to say who it is from."""
    cookies: tuple[SessionCookie, ...] = ()
    """Cookies that it set and that say who somebody is."""
    size_bytes: int = 0
    """Of the response."""
    document_bytes: int = 0
    """The same of a response that its reader needs as a whole (JSON, HTML, XML, text); 0 for files and streams."""
    asked: int | None = None
    """Equal for equal reads (GET) by the same page in the same browser; None for all else, and where no page says that it asks."""
    stream: bool = False
    """Open on purpose (server-sent events, WebSocket), or given up by the client: its duration says nothing."""
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

    @property
    def failed(self) -> bool:
        """A server error, or a job that did not succeed."""
        return self.status >= 500

    def timed(self) -> bool:
        """Whether its duration says how fast the endpoint is: not for streams and refused requests."""
        return not self.stream and not 400 <= self.status < 500


def point_of(timeline: Timeline) -> Point:
    """The figures of a request or job whose events are all there. `timeline` must have a root."""
    root = timeline.root
    assert root is not None
    queries, fetches = timeline.queries, timeline.fetches
    rows = 0
    written: tuple[str, ...] = ()
    if queries:
        rows = sum([query.row_count or 0 for query in queries])
        written = tuple(
            sorted({query.table for query in queries if query.operation in _WRITES and query.table and not query.error})
        )
    if isinstance(root, Request):
        status, size, kind = root.status_code, root.response_size, "request"
        stream = bool(root.cancelled or root.messages_sent is not None or root.messages_received is not None)
        stream = stream or root.response_headers.get("content-type", "").startswith("text/event-stream")
        document = size if size and not stream and _is_document(root) else 0
    else:
        document = 0
        status, size, kind, stream = 200 if root.status in (None, "succeeded") else 500, 0, "job", False
    return Point(
        request_id=root.id,
        run=root.run or "",
        started=root.timestamp,
        duration_ms=root.duration_ms,
        status=status,
        kind=kind,  # type: ignore[arg-type]
        revision=timeline.revision,
        queries=len(queries),
        query_ms=busy_ms(timeline, queries) if queries else 0.0,
        rows=rows,
        fetches=len(fetches),
        fetch_ms=busy_ms(timeline, fetches) if fetches else 0.0,
        errors=len(timeline.errors),
        auth_checks=len(timeline.auth_checks),
        written=written,
        credentials=bool(written and isinstance(root, Request) and credentials(root)),
        cookies=session_cookies(root) if isinstance(root, Request) and root.cookies else (),
        size_bytes=size,
        document_bytes=document,
        asked=_asked(root) if isinstance(root, Request) and root.method == "GET" and "referer" in root.headers else None,
        stream=stream,
        top=_largest(timeline) if queries or fetches else None,
    )


def _asked(request: Request) -> int:
    headers = request.headers
    return hash((request.client, headers.get("user-agent"), headers["referer"], request.url))


def _is_document(request: Request) -> bool:
    headers = request.response_headers
    kind = headers.get("content-type", "").lower()
    return (kind.startswith(_DOCUMENTS) or "+json" in kind) and "content-disposition" not in headers


def _largest(timeline: Timeline) -> Part | None:
    most, key = -1.0, ""
    slowest: Query | None = None
    for shape, (total, query) in timeline.costs.items():
        if total > most:
            most, key, slowest = total, shape, query
    calls: list[Fetch] | None = None
    for target, group in timeline.by_target.items():
        total = sum([call.duration_ms for call in group])
        if total > most:
            most, key, calls = total, target, group
    if calls is not None:
        call_site = max(calls, key=took_ms).call_site
        return Part(kind="fetch", key=key, text=key, ms=most, count=len(calls), call_site=call_site)
    if slowest is None:
        return None
    return Part(
        kind="query",
        key=key,
        text=f"{slowest.operation} on {slowest.table}" if slowest.table else slowest.operation,
        ms=most,
        count=len(timeline.by_shape[key]),
        call_site=slowest.call_site,
        sql=slowest.sql,
    )
