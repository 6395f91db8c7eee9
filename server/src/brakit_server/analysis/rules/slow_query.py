"""Slow queries: one statement that is slower than itself."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds, severity_by_cost
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shapes import ShapeFigures
from brakit_server.analysis.window import Window
from brakit_server.sketch import median

_MAD_TO_DEVIATION = 1.4826

_HINTS = {
    "SELECT": "Ask the database for its plan (EXPLAIN): a scan of the whole table wants an index on the columns of WHERE and ORDER BY."
    " If the plan is good, it brings more rows than it did, or waits for somebody's lock.",
}
_HINT = "It mostly waits: for a row that another transaction holds, or for indexes and triggers that came in meanwhile."


class SlowQuery(Rule):
    """*What it finds.* A statement of an endpoint whose newest executions (the slowest of each of the last `recent_requests`
    requests) take at least `floor_ms`, `factor` times as long as it usually does there, and longer than chance explains
    (`deviations` times the usual spread, which is the median deviation from the median).

    *Why it matters.* A statement becomes slow when its table outgrows its plan, an index is gone or somebody holds a lock. The
    endpoint around it may hide that for a while; production, with more rows, will not.

    *Fix.* Look at its plan, beginning with the condition that changed last.

    *What it leaves alone.* Statements that were always slow (`slow` names them with their endpoint), those seen less than
    `min_requests` times, single slow executions, and what stays below `floor_ms`.
    """

    title = "Slow query"
    category = "performance"

    floor_ms: float = 50.0
    """What takes less is not what somebody waits for."""
    factor: float = 2.0
    deviations: float = 3.0
    """Of a normal distribution, one in seven hundred lies beyond."""
    recent_requests: int = 5
    min_requests: int = 20
    """Of which the newest are a quarter at most: the median is that of the time before."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        known = [figures for figures in window.statements() if figures.requests >= self.min_requests]
        if not known:
            return None
        return [finding for figures in known if (finding := self._judge(window, figures)) is not None]

    def _judge(self, window: Window, figures: ShapeFigures) -> Finding | None:
        newest = list(islice(reversed(figures.recent), self.recent_requests))
        now = median([ms for ms, _ in newest])
        # Most statements of most endpoints: the figures of a sketch are not asked for in vain.
        if now < self.floor_ms:
            return None
        usual = figures.slowest.median()
        over = now - usual
        if now < self.factor * usual or over < self.deviations * _MAD_TO_DEVIATION * figures.slowest.mad():
            return None
        query, ids = figures.last, {id for _, id in newest}
        whole = median([point.duration_ms for point in window.points if point.request_id in ids])
        site = query.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        what = f"{query.operation} on {query.table}" if query.table else query.operation
        return self.finding(
            window,
            severity=severity_by_cost(over, whole),
            title=f"Slow query: {what}",
            desc=f"{window.endpoint} waits {milliseconds(now)} for {what}{where} (median of the last {len(newest)} {window.unit}s),"
            f" {now / max(usual, 0.1):.1f} times as long as usual ({milliseconds(usual)} in {figures.requests} {window.unit}s).",
            hint=_HINTS.get(query.operation, _HINT),
            detail=f"The newest brought up to {rows} rows."
            if (rows := max(islice(reversed(figures.rows), 5), default=0))
            else None,
            subject=query.shape_hash or what,
            call_site=site,
            evidence=tuple(dict.fromkeys(id for _, id in newest))[:EVIDENCE_LIMIT],
            cost_ms=over,
            sql=query.sql,
            confidence="likely",
        )
