"""`Window`: the rolling figures that are kept of each endpoint; `Service`: those of all endpoints of one service."""

from __future__ import annotations

from bisect import insort
from collections import deque
from itertools import islice

import msgspec

from brakit_server.analysis.point import Point
from brakit_server.analysis.shapes import ShapeFigures, Shapes, ShapeTotals
from brakit_server.analysis.timeline import Kind, Timeline
from brakit_server.sketch import Sketch, mad, median, quantile

POINTS = 200
"""Newest requests that a window keeps one by one."""

RUNS = 50
"""Newest processes that a window keeps figures of."""

OPENING = 50
"""First warm requests of a run that are kept apart, to compare later ones of the same run with."""

BASELINE_RUNS = 8
"""Earlier runs that make up a baseline."""

BASELINE_REQUESTS = 5
"""Requests that a run needs to count in a baseline."""

SAMPLE = 50
"""Newest warm requests of a run that are kept one by one, to compare runs by their samples."""


class RunFigures:
    """One endpoint in one run of its service: sums and a sketch, whatever the number of requests."""

    def __init__(self, run: str, started: float, revision: str | None = None) -> None:
        self.run = run
        self.revision = revision
        """Git revision of the code that ran, where it is known."""
        self.first = started
        self.last = started
        self.durations = Sketch()
        self.warm = Sketch()
        """Without the first request and those whose duration says nothing."""
        self.opening: list[float] = []
        self.sample: deque[float] = deque(maxlen=SAMPLE)
        """Durations of the newest of those in `warm`."""
        self.errors = 0
        self.queries = 0
        self.query_ms = 0.0
        self.fetch_ms = 0.0
        self._usual = (0, 0.0, 0.0, 0.0)
        self.counts: dict[int, int] = {}
        """Requests by their number of queries: the newest runs differ in it when the code does. Bounded."""

    def add(self, point: Point) -> None:
        self.first = min(self.first, point.started)
        self.last = max(self.last, point.started)
        self.durations.add(point.duration_ms)
        self.errors += point.status >= 400
        if point.timed() and not point.cold:
            self.warm.add(point.duration_ms)
            self.sample.append(point.duration_ms)
            if len(self.opening) < OPENING:
                self.opening.append(point.duration_ms)
        self.count(point, 1)

    def count(self, point: Point, sign: int) -> None:
        self.queries += sign * point.queries
        self.query_ms += sign * point.query_ms
        self.fetch_ms += sign * point.fetch_ms
        if point.status < 400 and (point.queries in self.counts or len(self.counts) < 64):
            left = self.counts.get(point.queries, 0) + sign
            if left > 0:
                self.counts[point.queries] = left
            else:
                self.counts.pop(point.queries, None)

    def usual(self) -> tuple[float, float, float]:
        """Median, median deviation from it and 95th percentile of its warm requests, in milliseconds."""
        warm = self.warm
        if self._usual[0] != warm.count:
            self._usual = (warm.count, warm.median(), warm.mad(), warm.quantile(0.95))
        return self._usual[1:]

    @property
    def usual_queries(self) -> int | None:
        """The number of queries that most of its successful requests made; None where there were none."""
        return max(self.counts, key=lambda queries: (self.counts[queries], queries), default=None)


class Baseline(msgspec.Struct, frozen=True):
    """What an endpoint is compared with."""

    median_ms: float
    mad_ms: float
    p95_ms: float
    requests: int
    earlier_runs: int
    """0 when it is the beginning of the same run."""


class Window:
    """The rolling figures of one endpoint of one service, or of one kind of job: bounded in points, runs, shapes and buckets."""

    def __init__(self, service: str | None, endpoint: str, kind: Kind = "request") -> None:
        self.service = service
        self.endpoint = endpoint
        """`METHOD route-template`, or the name of the job."""
        self.kind = kind
        self.runs: dict[str, RunFigures] = {}
        self.shapes = Shapes()
        """Its statements by shape."""
        self.last_traffic = 0.0
        """When the server last saw a request of it, epoch milliseconds."""
        self.total = 0
        self.errors = 0
        self.version = 0
        """Grows with every change."""
        self._points: list[Point] = []
        self._ids: dict[str, Point] = {}

    @property
    def unit(self) -> str:
        """What to call one of its points in a text: `request`, `run`."""
        return "run" if self.kind == "job" else "request"

    @property
    def points(self) -> list[Point]:
        """The newest requests by time of their end, oldest first."""
        return self._points

    @property
    def present(self) -> RunFigures | None:
        """The run that began last."""
        return max(self.runs.values(), key=lambda figures: figures.first, default=None)

    def put(
        self, point: Point, timeline: Timeline | None = None, counted: ShapeTotals | None = None, *, again: bool = False
    ) -> None:
        """Add a request; `again` when it was added before and events of it came late: then its figures are replaced.

        `counted` is what was counted of its shapes before, and is brought up to date; without it they are left out.
        """
        self.version += 1
        known = self._ids.get(point.request_id)
        if timeline is not None and counted is not None:
            self.shapes.put(timeline, counted)
        if known is not None:
            figures = self.runs.get(point.run)
            if figures is not None:
                figures.count(known, -1)
                figures.count(point, 1)
            point.cold = known.cold
            self._ids[point.request_id] = point
            self._points[next(n for n, each in enumerate(self._points) if each is known)] = point
            return
        if again:
            return
        figures = self.runs.get(point.run)
        if figures is None:
            point.cold = True
            figures = self.runs[point.run] = RunFigures(point.run, point.started, point.revision)
            while len(self.runs) > RUNS:
                del self.runs[min(self.runs, key=lambda run: self.runs[run].last)]
        figures.revision = point.revision or figures.revision
        figures.add(point)
        self.total += 1
        self.errors += point.status >= 400
        self._ids[point.request_id] = point
        points = self._points
        if not points or (points[-1].ended, points[-1].request_id) <= (point.ended, point.request_id):
            points.append(point)
        else:
            insort(points, point, key=lambda each: (each.ended, each.request_id))
        while len(points) > POINTS:
            del self._ids[points.pop(0).request_id]

    def remember(self, figures: RunFigures) -> None:
        """Take in a run from before the server's start, of which the requests themselves are not looked at any more."""
        if figures.run not in self.runs and len(self.runs) < RUNS:
            self.version += 1
            self.runs[figures.run] = figures

    def earlier(self) -> list[RunFigures]:
        """Runs that ended before the newest began, newest first. Processes that run side by side are none of them."""
        if len(self.runs) < 2:
            return []
        runs = sorted(self.runs.values(), key=lambda figures: figures.first, reverse=True)
        return [figures for figures in runs if figures.last < runs[0].first]

    def other_revision(self) -> list[RunFigures]:
        """Earlier runs of the git revision before the present one, newest first; none where revisions are unknown."""
        present = self.present
        now = present.revision if present is not None else None
        before = [figures for figures in self.earlier() if figures.revision not in (None, now)]
        return [figures for figures in before if figures.revision == before[0].revision] if now else []

    def recent(self, limit: int, *, cold: bool = False) -> list[Point]:
        """The newest timed requests of the present run and those beside it, oldest first; without those that came first."""
        earlier = {figures.run for figures in self.earlier()}
        fitting = (p for p in reversed(self._points) if p.timed() and (cold or not p.cold) and p.run not in earlier)
        return list(islice(fitting, limit))[::-1]

    def statements(self, limit: int = 20) -> list[ShapeFigures]:
        """Figures of the statements that the newest `limit` requests ran: what was taken out of the code is not among them for long."""
        newest = {point.request_id for point in self._points[-limit:]}
        return [figures for figures in self.shapes.values() if any(id in newest for _, id in figures.recent)]

    def baseline(self, recent: int) -> Baseline | None:
        """What the newest `recent` requests are to be compared with; None before there is enough of it.

        The medians of earlier runs, so that a change survives a few restarts before it is the rule; without them, the beginning
        of this run.
        """
        runs = [figures for figures in self.earlier() if figures.warm.count >= BASELINE_REQUESTS][:BASELINE_RUNS]
        if runs:
            middle, spread, high = zip(*(figures.usual() for figures in runs), strict=True)
            requests = sum(figures.warm.count for figures in runs)
            return Baseline(median(list(middle)), median(list(spread)), median(list(high)), requests, len(runs))
        present = self.present
        if present is None:
            return None
        opening = present.opening[: max(0, present.warm.count - recent)]
        if len(opening) < 2 * BASELINE_REQUESTS:
            return None
        return Baseline(median(opening), mad(opening), quantile(opening, 0.95), len(opening), 0)


class Service:
    """All windows of one service: what rules see that compare endpoints with each other."""

    def __init__(self, name: str | None, windows: list[Window]) -> None:
        self.name = name
        self.windows = windows

    @property
    def requests(self) -> list[Window]:
        """Those of requests."""
        return [window for window in self.windows if window.kind == "request"]

    @property
    def jobs(self) -> list[Window]:
        """Those of jobs."""
        return [window for window in self.windows if window.kind == "job"]
