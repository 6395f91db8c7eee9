"""`Shapes`: the statements of one endpoint, by shape: how often, how long, and what is usual for each."""

from __future__ import annotations

from collections import deque

import msgspec

from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Callsite, Query
from brakit_server.sketch import Sketch

SHAPES = 100
"""Shapes of an endpoint that are kept; the one unseen for longest goes first."""

RECENT = 20
"""Newest requests of which a shape keeps its slowest execution one by one."""

WATCHED = 16
"""Sets of parameters of a shape whose rows are followed from request to request."""

WATCHED_ROWS = 50
"""A SELECT that brings fewer rows is not followed."""

ShapeTotals = dict[str, tuple[int, float]]
"""What of one request was counted: by shape, executions and their milliseconds."""


class Growth(msgspec.Struct):
    """Rows that a SELECT with the same parameters brought, from request to request."""

    first: int
    last: int
    up: int = 0
    """How often it brought more than the time before."""
    down: int = 0


class ShapeFigures:
    """One statement of one endpoint."""

    __slots__ = ("count", "growth", "last", "ms", "recent", "requests", "rows", "slowest")

    def __init__(self, query: Query) -> None:
        self.last = query
        """Its newest slowest execution: text, table, line."""
        self.requests = 0
        """Requests that executed it."""
        self.count = 0
        """Executions."""
        self.ms = 0.0
        """Milliseconds of all executions."""
        self.rows: deque[int] = deque(maxlen=RECENT)
        """Of the newest requests: most rows read or changed by one execution, as far as drivers told."""
        self.growth: dict[str, Growth] = {}
        """Rows by the hash of the parameters (empty where there was none to be had), of a SELECT that brings many."""
        self.slowest = Sketch()
        """Milliseconds of the slowest execution of each request."""
        self.recent: deque[tuple[float, str]] = deque(maxlen=RECENT)
        """Of the newest requests: milliseconds of the slowest execution, and the request's id."""

    @property
    def most_rows(self) -> int:
        """Read or changed by one execution in the newest requests, as far as drivers told."""
        return max(self.rows, default=0)

    @property
    def call_site(self) -> Callsite | None:
        return self.last.call_site

    def watch(self, query: Query) -> None:
        """Compare the rows of a SELECT with those that the same parameters brought before."""
        if query.operation != "SELECT" or query.row_count is None or query.error is not None:
            return
        key, rows = query.params_hash or "", query.row_count
        known = self.growth.get(key)
        if known is not None:
            known.up += rows > known.last
            known.down += rows < known.last
            known.last = rows
        elif rows >= WATCHED_ROWS and len(self.growth) < WATCHED:
            self.growth[key] = Growth(rows, rows)


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
            if before is None:
                figures.rows.append(rows)
                if rows >= WATCHED_ROWS or figures.growth:
                    figures.watch(slowest)
                figures.last = slowest
                figures.requests += 1
                figures.slowest.add(most)
                figures.recent.append((most, id))
            elif rows > figures.most_rows:
                figures.rows.append(rows)
            counted[key] = (count, total)
        while len(self) > SHAPES:
            del self[next(iter(self))]
