"""Endpoints whose answers are large."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity
from brakit_server.sketch import median


class LargeResponse(Rule):
    """*What it finds.* Endpoints whose newest answers are documents (JSON, HTML, XML, text) of `min_bytes` or more, as they
    leave the app: the median of at least `min_requests`.

    *Why it matters.* It has to be built, sent and parsed as a whole before anything shows; on a telephone a megabyte is
    seconds. Mostly it is a list without an end, which grows with the data.

    *Fix.* Pages (a limit, and a key to go on from); for each item only the fields that are shown, the rest when it is opened;
    compression of what remains.

    *What it leaves alone.* Files (images, archives, PDF, CSV, anything sent as an attachment), streams, refused and failed
    requests, a single large answer among small ones, static files.
    """

    title = "Large response"
    category = "performance"
    kinds = ("request",)

    min_bytes: int = 300_000
    """What Sentry calls a large payload (its detector of that name, https://docs.sentry.io/product/issues/issue-details/performance-issues/)."""
    warning_bytes: int = 1_000_000
    """About a second and a half of a slow mobile connection (5 Mbit/s)."""
    min_requests: int = 3
    recent_requests: int = 10

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        answered = [point for point in window.recent(self.recent_requests, cold=True) if point.status < 300]
        if len(answered) < self.min_requests:
            return None
        sizes = [point.document_bytes for point in answered]
        usual = median([float(size) for size in sizes])
        if usual < self.min_bytes:
            return []
        severity: Severity = "warning" if usual >= self.warning_bytes else "info"
        rows = median([float(point.rows) for point in answered])
        return [
            self.finding(
                window,
                severity=severity,
                title="Large response",
                desc=f"{window.endpoint} answers with {_size(usual)} (median of the last {len(answered)} requests).",
                hint="Answer in pages (a limit, and a key to go on from), with the fields that are shown; compress what remains.",
                detail=f"The requests read {rows:.0f} rows (median)." if rows >= 100 else None,
                subject="",
                evidence=tuple(point.request_id for point in reversed(answered) if point.document_bytes >= usual)[
                    :EVIDENCE_LIMIT
                ],
            )
        ]


def _size(size: float) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 999_500 else f"{size / 1000:.0f} KB"
