"""Windows as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from brakit_server.analysis.point import Point
from brakit_server.analysis.window import RunFigures, Window
from brakit_server.answers import EndpointMetrics, EndpointSummary, LiveEndpointData, LiveRequestPoint, SessionMetric
from brakit_server.sketch import quantile


class Cache:
    """What was made of each window, as long as nothing changed in it."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Window, tuple[int, LiveEndpointData]] = WeakKeyDictionary()

    def live(self, windows: Iterable[Window]) -> list[LiveEndpointData]:
        """Every endpoint with its newest requests, slowest first."""
        shown = [self._of(window) for window in windows if window.points and window.kind == "request"]
        shown.sort(key=lambda each: (-each.summary.p95_ms, each.endpoint))
        return shown

    def history(self, windows: Iterable[Window], endpoint: str | None = None) -> list[EndpointMetrics]:
        """Every endpoint, or the one named, with its figures by run, oldest run first."""
        return [
            EndpointMetrics(endpoint=known.endpoint, sessions=known.sessions, data_points=known.requests)
            for known in (self._of(w) for w in windows if endpoint in (None, w.endpoint) and w.kind == "request")
        ]

    def _of(self, window: Window) -> LiveEndpointData:
        version, known = self._known.get(window, (-1, None))
        if known is None or version != window.version:
            known = _live(window)
            self._known[window] = (window.version, known)
        return known


def _live(window: Window) -> LiveEndpointData:
    points = window.points
    durations = [point.duration_ms for point in points]
    baseline = window.baseline(len(window.recent(10)))
    return LiveEndpointData(
        endpoint=window.endpoint,
        service=window.service,
        requests=_points(window),
        summary=EndpointSummary(
            p95_ms=quantile(durations, 0.95),
            median_ms=quantile(durations, 0.5),
            error_rate=sum(point.status >= 400 for point in points) / len(points),
            avg_query_count=sum(point.queries for point in points) / len(points),
            total_requests=window.total,
            avg_query_time_ms=sum(point.query_ms for point in points) / len(points),
            avg_fetch_time_ms=sum(point.fetch_ms for point in points) / len(points),
            avg_app_time_ms=sum(point.app_ms for point in points) / len(points),
        ),
        sessions=_sessions(window),
        baseline_p95_ms=baseline.p95_ms if baseline else None,
    )


def _points(window: Window) -> list[LiveRequestPoint]:
    return [_point(point) for point in window.points]


def _point(point: Point) -> LiveRequestPoint:
    return LiveRequestPoint(
        timestamp=point.started,
        duration_ms=point.duration_ms,
        status_code=point.status,
        query_count=point.queries,
        query_time_ms=point.query_ms,
        fetch_time_ms=point.fetch_ms,
        request_id=point.request_id,
    )


def _sessions(window: Window) -> list[SessionMetric]:
    return [_session(figures) for figures in sorted(window.runs.values(), key=lambda figures: figures.first)]


def _session(figures: RunFigures) -> SessionMetric:
    count = figures.durations.count
    return SessionMetric(
        session_id=figures.run,
        started_at=figures.first,
        avg_duration_ms=figures.durations.mean(),
        p95_duration_ms=figures.durations.quantile(0.95),
        request_count=count,
        error_count=figures.errors,
        avg_query_count=figures.queries / count,
        avg_query_time_ms=figures.query_ms / count,
        avg_fetch_time_ms=figures.fetch_ms / count,
    )
