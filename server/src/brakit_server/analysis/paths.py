"""The way of a request through the code, as far as its queries and calls show it: does one without an issue say anything about it?

Such a request must have run what the issue is about, or all that the requests which show it had in common besides. One that was
answered from a cache, refused, or stopped before the place was reached says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.shape import shape_key
from brakit_server.analysis.timeline import Root, Timeline, site_of
from brakit_server.answers import CodePath
from brakit_server.records import Fetch, Job, Query

STEPS = 20
"""Steps of a path that are kept."""

REFINED = 20
"""Requests that show an issue from which its path is made."""


def succeeded(root: Root, besides: Iterable[int] = ()) -> bool:
    """Whether it did what it was asked for: not refused, not answered as unchanged, not broken off, unless its status is `besides`."""
    if isinstance(root, Job):
        return root.status in (None, "succeeded")
    status = root.status_code
    return not root.cancelled and status < 500 and ((status < 400 and status != 304) or status in besides)


def path_of(timeline: Timeline, finding: Finding) -> CodePath:
    """The path of a request that shows the finding."""
    site = site_of(finding.call_site)
    rows: dict[str, int] = {}
    own: set[str] = set()
    shapes: dict[str, set[str | None]] = {}
    for event in timeline.io:
        step = _step(event)
        query = event if isinstance(event, Query) else None
        if (site is not None and site_of(event.call_site) == site) or (
            query is not None and query.sql and query.sql == finding.sql
        ):
            own.add(step)
            if query is not None:
                shapes.setdefault(_shape(query), set()).add(query.params_hash)
        if query is not None:
            rows[step] = max(rows.get(step, 0), query.row_count or 0)
        else:
            rows.setdefault(step, 0)
    others = [step for step in rows if step not in own][:STEPS]
    return CodePath(
        needs=others,
        many=[step for step in others if rows[step] > 1],
        own=sorted(own)[:STEPS],
        shape=next((shape for shape, parameters in shapes.items() if len(parameters) > 1), None),
        status_codes=[timeline.request.status_code] if timeline.request is not None else [],
        run=timeline.run,
    )


def common(known: CodePath, other: CodePath) -> CodePath:
    """What two requests that show the same issue have in common; the run is that of `other`."""
    needs = [step for step in known.needs if step in other.needs]
    return CodePath(
        needs=needs,
        many=[step for step in known.many if step in other.many],
        own=sorted({*known.own, *other.own})[:STEPS],
        shape=known.shape or other.shape,
        status_codes=sorted({*known.status_codes, *other.status_codes})[:STEPS],
        run=other.run,
    )


class Walk:
    """What a request ran that did not show an issue."""

    def __init__(self, timeline: Timeline) -> None:
        self.run = timeline.run
        self._root = timeline.root
        self._rows: dict[str, int | None] = {}
        self._shapes: dict[str, int] = {}
        for event in timeline.io:
            step = _step(event)
            if isinstance(event, Query):
                shape = _shape(event)
                self._shapes[shape] = self._shapes.get(shape, 0) + 1
                if event.row_count is not None:
                    self._rows[step] = max(self._rows.get(step) or 0, event.row_count)
            self._rows.setdefault(step, None)

    def succeeded(self, path: CodePath | None) -> bool:
        """Whether it got as far as the requests that show an issue."""
        return self._root is not None and succeeded(self._root, path.status_codes if path is not None else ())

    def went(self, path: CodePath) -> bool:
        """Whether it took the path."""
        if path.shape is not None and self._shapes.get(path.shape) == 1:
            return False
        for step in path.many:
            rows = self._rows.get(step)
            if rows is not None and rows < 2:
                return False
        if any(step in self._rows for step in path.own):
            return True
        if not path.needs:
            return not path.own
        return all(step in self._rows for step in path.needs)


def _step(event: Query | Fetch) -> str:
    if isinstance(event, Fetch):
        return target_of(event)
    if event.table:
        return f"{event.operation} {event.table}"
    return f"{event.operation} in {event.call_site.function}" if event.call_site is not None else event.operation


def _shape(query: Query) -> str:
    return query.shape_hash or shape_key(query)
