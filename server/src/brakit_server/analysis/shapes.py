"""`Shapes`: the statements of one endpoint, by shape: how often, how long, and what is usual for each."""

from __future__ import annotations

from collections import deque

from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Callsite, Query
from brakit_server.sketch import Sketch

SHAPES = 100
"""Shapes of an endpoint that are kept; the one unseen for longest goes first."""

RECENT = 20
"""Newest requests of which a shape keeps its slowest execution one by one."""

ShapeTotals = dict[str, tuple[int, float]]
"""What of one request was counted: by shape, executions and their milliseconds."""


class ShapeFigures:
    """One statement of one endpoint."""

    __slots__ = ("count", "last", "most_rows", "ms", "recent", "requests", "slowest")

    def __init__(self, query: Query) -> None:
        self.last = query
        """Its newest slowest execution: text, table, line."""
        self.requests = 0
        """Requests that executed it."""
        self.count = 0
        """Executions."""
        self.ms = 0.0
        """Milliseconds of all executions."""
        self.most_rows = 0
        """Read or changed by one execution, as far as drivers told."""
        self.slowest = Sketch()
        """Milliseconds of the slowest execution of each request."""
        self.recent: deque[tuple[float, str]] = deque(maxlen=RECENT)
        """Of the newest requests: milliseconds of the slowest execution, and the request's id."""

    @property
    def call_site(self) -> Callsite | None:
        return self.last.call_site


class Shapes(dict[str, ShapeFigures]):
    """Figures by shape. Bounded."""

    def put(self, timeline: Timeline, counted: ShapeTotals) -> None:
        """Add the statements of one request, as far as they are not among `counted`, which is brought up to date."""
        id = timeline.root.id if timeline.root is not None else ""
        for key, (total, slowest) in timeline.costs.items():
            queries = timeline.by_shape[key]
            count = len(queries)
            before = counted.get(key)
            if before is not None and before[0] == count:
                continue
            most = slowest.duration_ms + (slowest.fetch_ms or 0.0)
            rows = slowest.row_count or 0 if count == 1 else max([query.row_count or 0 for query in queries])
            figures = self.pop(key, None) or ShapeFigures(slowest)
            self[key] = figures
            figures.count += count - (before[0] if before else 0)
            figures.ms += total - (before[1] if before else 0.0)
            figures.most_rows = max(figures.most_rows, rows)
            if before is None:
                figures.last = slowest
                figures.requests += 1
                figures.slowest.add(most)
                figures.recent.append((most, id))
            counted[key] = (count, total)
        while len(self) > SHAPES:
            del self[next(iter(self))]
