"""Endpoints that fail often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity


class ErrorHotspot(Rule):
    """*What it finds.* Endpoints and jobs of whose newest `recent_requests` in the present run `min_share` or more fail with a
    server error, at least `min_failed` of them and of at least `min_requests`.

    *Why it matters.* One error may be one odd request. An endpoint that fails every third time is broken for everybody, and
    callers that try again make it worse.

    *Fix.* The issues of the rule `error` in the same endpoint name the exceptions and their lines; the requests named here show
    them with what came before. Without an exception, look at what answers with that status: a proxy's limit, a handler of the
    app's.

    *What it leaves alone.* Refused requests (4xx), those that the client gave up, failures of earlier runs, a single failure,
    health checks and static files.
    """

    title = "Error hotspot"
    category = "reliability"

    min_share: float = 0.2
    critical_share: float = 0.5
    min_failed: int = 3
    min_requests: int = 5
    recent_requests: int = 20
    """Few enough that a fix shows soon."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        earlier = {figures.run for figures in window.earlier()}
        answered = [point for point in window.points if point.run not in earlier and point.status != 499]
        recent = answered[-self.recent_requests :]
        if len(recent) < self.min_requests:
            return None
        failed = [point for point in recent if point.failed]
        if len(failed) < self.min_failed or len(failed) < self.min_share * len(recent):
            return []
        severity: Severity = "critical" if len(failed) >= self.critical_share * len(recent) else "warning"
        statuses = Counter(point.status for point in failed).most_common()
        # A job has no status of its own: the figure stands for "did not succeed".
        kinds = ", ".join(f"{count} with {status}" for status, count in statuses) if window.kind == "request" else ""
        silent = sum(1 for point in failed if not point.errors)
        return [
            self.finding(
                window,
                severity=severity,
                title="Error hotspot",
                desc=f"{window.endpoint} fails in {len(failed)} of the last {len(recent)} {window.unit}s"
                f" ({share(len(failed), len(recent))}){f': {kinds}' if kinds else ''}.",
                hint="Start with the exceptions that are reported for the same endpoint; the requests named here show what came before."
                if silent < len(failed)
                else "No exception was seen: look at what answers with that status by itself, a handler or a limit.",
                detail=f"{silent} of them without an exception." if 0 < silent < len(failed) else None,
                subject="",
                evidence=tuple(point.request_id for point in reversed(failed))[:EVIDENCE_LIMIT],
            )
        ]
