"""Waiting for a connection of the pool."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity
from brakit_server.records import Span

_HINTS = {
    "sqlalchemy": "Give connections back sooner (short sessions, no outgoing calls inside them), or raise pool_size and max_overflow of"
    " create_engine to what is needed at once.",
    "asyncpg": "Give connections back sooner (no outgoing calls inside `async with pool.acquire()`), or raise max_size of create_pool.",
    "psycopg_pool": "Give connections back sooner (no outgoing calls inside `with pool.connection()`), or raise max_size of the pool.",
    "redis": "Give connections back sooner, or raise max_connections of the pool.",
}
_WAIT = "wait for a connection"
"""What SDKs call it; the attribute `source` names the library."""

_HINT = "Give connections back sooner, or raise the size of the pool to what is needed at once."


class PoolWait(Rule):
    """*What it finds.* A request or job that waits `min_ms` or more, all in all, for connections of a pool, or in vain.

    *Why it matters.* Its database is not slow: all connections are in somebody's hands. Under load it is the first thing that
    makes everything slow, and then fail, at once.

    *Fix.* Hold connections for a shorter time: close sessions before calling others and before rendering. If that is so
    already, a larger pool.

    *What it leaves alone.* Waits below `min_ms`: opening a connection takes some milliseconds as well.
    """

    title = "Waiting for the pool"
    category = "performance"
    needs = ("spans",)

    min_ms: float = 50.0
    """Opening a connection with TLS takes less on one machine."""
    critical_share: float = 0.20
    """Of the request."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        pools: dict[str, list[Span]] = {}
        for span in timeline.spans:
            if span.name == _WAIT:
                pools.setdefault(str((span.attributes or {}).get("source") or ""), []).append(span)
        for library, waits in pools.items():
            waited = sum(wait.duration_ms for wait in waits)
            failed = next((wait for wait in waits if wait.error), None)
            if waited >= self.min_ms or failed is not None:
                yield self._finding(timeline, library, waits, waited, failed)

    def _finding(self, timeline: Timeline, library: str, waits: list[Span], waited: float, failed: Span | None) -> Finding:
        longest = max(waits, key=lambda wait: wait.duration_ms)
        site = (failed or longest).call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        large = timeline.duration_ms > 0 and waited / timeline.duration_ms >= self.critical_share
        severity: Severity = "critical" if failed is not None else "warning" if large else "info"
        vain = f" and gets none ({failed.error})" if failed is not None else ""
        return self.finding(
            timeline,
            severity=severity,
            title="No connection left in the pool" if failed is not None else "Waiting for a connection of the pool",
            desc=f"{timeline.endpoint} waits {milliseconds(waited)} for {library or 'database'} connections{where}{vain}:"
            f" {share(waited, timeline.duration_ms)} of the {timeline.unit}.",
            hint=_HINTS.get(library, _HINT),
            subject=library,
            call_site=site,
            cost_ms=waited,
        )
