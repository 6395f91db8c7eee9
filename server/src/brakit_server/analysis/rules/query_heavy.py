"""Endpoints that need very many statements."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity
from brakit_server.sketch import median


class QueryHeavy(Rule):
    """*What it finds.* Endpoints whose newest requests run `min_queries` statements or more (median of at least
    `min_requests`), none of which makes up `repeated_share` of them.

    *Why it matters.* Each statement is a round trip; with the database on another machine, thirty of them are a tenth of a
    second before anything is computed.

    *Fix.* Read what belongs together with one statement (joins, eager loading), compute in the database, and keep what changes
    seldom in a cache.

    *What it leaves alone.* Endpoints where one statement is most of it (that is a loop, and `n1` or `redundant-query` says so), jobs,
    and health checks and static files.
    """

    title = "Many queries"
    category = "performance"
    kinds = ("request",)

    min_queries: int = 25
    min_requests: int = 3
    recent_requests: int = 10
    repeated_share: float = 0.5
    warning_share: float = 0.5
    """Of the time of the requests, spent in the database."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        recent = [point for point in window.recent(self.recent_requests, cold=True) if not point.failed]
        if len(recent) < self.min_requests:
            return None
        usual = median([point.queries for point in recent])
        if usual < self.min_queries:
            return []
        shapes = window.statements()
        most = max((figures.count / max(figures.requests, 1) for figures in shapes), default=0.0)
        if most >= self.repeated_share * usual:
            return []
        whole = sum(point.duration_ms for point in recent)
        spent = sum(point.query_ms for point in recent)
        severity: Severity = "warning" if spent >= self.warning_share * whole else "info"
        top = sorted(shapes, key=lambda figures: figures.ms, reverse=True)[:5]
        named = [
            f"{figures.last.operation} {figures.last.table}".strip()
            + (f" at {site.file}:{site.line}" if (site := figures.last.call_site) else "")
            + f" ({figures.count / max(figures.requests, 1):.0f} a request)"
            for figures in top
        ]
        return [
            self.finding(
                window,
                severity=severity,
                title="Many queries",
                desc=f"{window.endpoint} runs {usual:.0f} statements a request (median of the last {len(recent)}), which take"
                f" {milliseconds(spent / len(recent))} ({share(spent, whole)}).",
                hint="Read what belongs together with one statement, compute in the database, keep what changes seldom in a cache.",
                detail="Most time: " + "; ".join(named) + "." if named else None,
                subject="",
                evidence=tuple(point.request_id for point in reversed(recent))[:EVIDENCE_LIMIT],
                cost_ms=spent / len(recent),
            )
        ]
