"""`Window`: the rolling figures that are kept of each endpoint."""

from __future__ import annotations

from bisect import insort
from itertools import islice

import msgspec

from brakit_server.analysis.point import Point
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


class RunFigures:
    """One endpoint in one run of its service: sums and a sketch, whatever the number of requests."""

    def __init__(self, run: str, started: float) -> None:
        self.run = run
        self.first = started
        self.last = started
        self.durations = Sketch()
        self.warm = Sketch()
        self.opening: list[float] = []
        self.errors = 0
        self.queries = 0
        self.query_ms = 0.0
        self.fetch_ms = 0.0

    def add(self, point: Point) -> None:
        self.first = min(self.first, point.started)
        self.last = max(self.last, point.started)
        self.durations.add(point.duration_ms)
        self.errors += point.status >= 400
        if point.timed() and not point.cold:
            self.warm.add(point.duration_ms)
            if len(self.opening) < OPENING:
                self.opening.append(point.duration_ms)
        self.count(point, 1)

    def count(self, point: Point, sign: int) -> None:
        self.queries += sign * point.queries
        self.query_ms += sign * point.query_ms
        self.fetch_ms += sign * point.fetch_ms


class Baseline(msgspec.Struct, frozen=True):
    """What an endpoint is compared with."""

    median_ms: float
    mad_ms: float
    p95_ms: float
    requests: int
    earlier_runs: int
    """0 when it is the beginning of the same run."""


class Window:
    """The rolling figures of one endpoint of one service: bounded in points, runs and buckets."""

    def __init__(self, service: str | None, endpoint: str) -> None:
        self.service = service
        self.endpoint = endpoint
        self.runs: dict[str, RunFigures] = {}
        self.last_traffic = 0.0
        """When the server last saw a request of it, epoch milliseconds."""
        self.total = 0
        self.errors = 0
        self._points: list[Point] = []
        self._ids: dict[str, Point] = {}

    @property
    def points(self) -> list[Point]:
        """The newest requests by time of their end, oldest first."""
        return self._points

    def put(self, point: Point, *, again: bool = False) -> None:
        """Add a request; `again` when it was added before and events of it came late: then its figures are replaced."""
        known = self._ids.get(point.request_id)
        if known is not None:
            figures = self.runs.get(point.run)
            if figures is not None:
                figures.count(known, -1)
                figures.count(point, 1)
            known.queries, known.query_ms, known.top = point.queries, point.query_ms, point.top
            known.fetches, known.fetch_ms = point.fetches, point.fetch_ms
            return
        if again:
            return
        figures = self.runs.get(point.run)
        if figures is None:
            point.cold = True
            figures = self.runs[point.run] = RunFigures(point.run, point.started)
            while len(self.runs) > RUNS:
                del self.runs[min(self.runs, key=lambda run: self.runs[run].last)]
        figures.add(point)
        self.total += 1
        self.errors += point.status >= 400
        self._ids[point.request_id] = point
        insort(self._points, point, key=lambda each: (each.ended, each.request_id))
        while len(self._points) > POINTS:
            del self._ids[self._points.pop(0).request_id]

    def earlier(self) -> list[RunFigures]:
        """Runs that ended before the newest began, newest first. Processes that run side by side are none of them."""
        if len(self.runs) < 2:
            return []
        runs = sorted(self.runs.values(), key=lambda figures: figures.first, reverse=True)
        return [figures for figures in runs if figures.last < runs[0].first]

    def recent(self, limit: int, *, cold: bool = False) -> list[Point]:
        """The newest timed requests of the present run and those beside it, oldest first; without those that came first."""
        earlier = {figures.run for figures in self.earlier()}
        fitting = (p for p in reversed(self._points) if p.timed() and (cold or not p.cold) and p.run not in earlier)
        return list(islice(fitting, limit))[::-1]

    def baseline(self, recent: int) -> Baseline | None:
        """What the newest `recent` requests are to be compared with; None before there is enough of it.

        The medians of earlier runs, so that a change survives a few restarts before it is the rule; without them, the beginning
        of this run.
        """
        runs = [figures for figures in self.earlier() if figures.warm.count >= BASELINE_REQUESTS][:BASELINE_RUNS]
        if runs:
            return Baseline(
                median([figures.warm.median() for figures in runs]),
                median([figures.warm.mad() for figures in runs]),
                median([figures.warm.quantile(0.95) for figures in runs]),
                sum(figures.warm.count for figures in runs),
                len(runs),
            )
        if not self.runs:
            return None
        present = max(self.runs.values(), key=lambda figures: figures.first)
        opening = present.opening[: max(0, present.warm.count - recent)]
        if len(opening) < 2 * BASELINE_REQUESTS:
            return None
        return Baseline(median(opening), mad(opening), quantile(opening, 0.95), len(opening), 0)
