"""Slow endpoints: slower than they were, or slow by any measure."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds, share
from brakit_server.analysis.point import Part, Point
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import Baseline, Window
from brakit_server.answers import Severity
from brakit_server.sketch import median

_MAD_TO_DEVIATION = 1.4826

_HINTS = {
    "database": "Most of the time goes to the database. Look at the statement that costs most: an index for its WHERE"
    " and ORDER BY, fewer rows, fewer executions.",
    "calls": "Most of the time is spent waiting for other services. Make independent calls at the same time, cache answers that"
    " change seldom, set a timeout.",
    "app": "Most of the time is neither database nor outgoing calls: the endpoint's own code, serialisation, or waiting for"
    " something that is not captured. A profile of one request shows which.",
}


class Slow(Rule):
    """*What it finds.* Endpoints whose newest requests take at least `factor` times as long as they used to, and at
    least `min_ms_over` longer, beyond what chance explains (`deviations` times the usual spread). They are compared with the
    earlier runs of their service, and on the first day with the beginning of the same run. While there is nothing to compare
    with, and whatever the comparison says: endpoints whose median is `floor_ms` or more.

    *Why it matters.* It is the person in front of the page who waits. Seen while the change is fresh, the cause is one of the
    last edits.

    *Fix.* The finding says where the time goes (database, outgoing calls, the app itself) and names the statement or the call
    that costs most, with its line. Start there.

    *What it leaves alone.* The first request after a start (imports, connections), responses that stay open on purpose
    (server-sent events), requests given up by the client, refused requests (4xx), health checks and static files.
    """

    title = "Slow endpoint"
    category = "performance"

    factor: float = 2.0
    min_ms_over: float = 50.0
    deviations: float = 3.0
    min_requests: int = 5
    recent_requests: int = 10
    floor_ms: float = 500.0
    floor_requests: int = 3

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        recent = window.recent(self.recent_requests)
        now = median([point.duration_ms for point in recent])
        baseline = window.baseline(len(recent)) if len(recent) >= self.min_requests else None
        if baseline is not None and self._slower(now, baseline):
            when = f"in {baseline.earlier_runs} earlier run(s)" if baseline.earlier_runs else "at the beginning of this run"
            said = (
                f"{window.endpoint} takes {milliseconds(now)} (median of the last {len(recent)} {window.unit}s),"
                f" {now / max(baseline.median_ms, 0.1):.1f} times as long as {when} ({milliseconds(baseline.median_ms)})."
            )
            severity: Severity = "critical" if now >= self.floor_ms else "warning"
            return [self._finding(window, recent, severity, said, now - baseline.median_ms)]
        # The first request after a start counts here: with three requests the median is safe from one of them.
        newest = window.recent(self.recent_requests, cold=True)
        now = median([point.duration_ms for point in newest])
        if len(newest) >= self.floor_requests and now >= self.floor_ms:
            said = f"{window.endpoint} takes {milliseconds(now)} (median of the last {len(newest)} {window.unit}s)."
            return [self._finding(window, newest, "warning", said, None)]
        return [] if len(recent) >= self.min_requests else None

    def _slower(self, now: float, baseline: Baseline) -> bool:
        over = now - baseline.median_ms
        spread = self.deviations * _MAD_TO_DEVIATION * baseline.mad_ms
        return now >= self.factor * baseline.median_ms and over >= max(self.min_ms_over, spread)

    def _finding(self, window: Window, points: list[Point], severity: Severity, said: str, over_ms: float | None) -> Finding:
        total = sum(point.duration_ms for point in points)
        spent = {
            "database": sum(point.query_ms for point in points),
            "calls": sum(point.fetch_ms for point in points),
            "app": sum(point.app_ms for point in points),
        }
        largest = max(spent, key=lambda name: spent[name])
        top = _top(points, {"database": "query", "calls": "fetch"}.get(largest))
        return self.finding(
            window,
            severity=severity,
            title="Slow endpoint",
            desc=f"{said} Database {share(spent['database'], total)}, outgoing calls {share(spent['calls'], total)}, app"
            f" {share(spent['app'], total)}.",
            hint=_HINTS[largest],
            detail=_named(top) if top else None,
            subject="",
            call_site=top.call_site if top else None,
            evidence=tuple(point.request_id for point in reversed(points[-EVIDENCE_LIMIT:])),
            cost_ms=over_ms,
            sql=top.sql if top else None,
        )


def _top(points: list[Point], kind: str | None) -> Part | None:
    """The statement or call that cost most in the slowest of the requests."""
    parts = [point.top for point in points if point.top is not None and kind in (None, point.top.kind)]
    return max(parts, key=lambda part: part.ms, default=None)


def _named(part: Part) -> str:
    site = part.call_site
    where = f" at {site.file}:{site.line} in {site.function}" if site else ""
    times = f" in {part.count} executions" if part.count > 1 and part.kind == "query" else ""
    times = times or (f" in {part.count} calls" if part.count > 1 else "")
    return f"Most expensive: {part.text}{where}, {milliseconds(part.ms)}{times} in one request."
