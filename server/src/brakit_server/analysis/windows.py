"""`Windows`: the windows of all endpoints, and which of them have something new to judge. Bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice, zip_longest

from brakit_server.analysis.issues import Hits
from brakit_server.analysis.point import Point
from brakit_server.analysis.shapes import ShapeTotals
from brakit_server.analysis.timeline import Kind, Place, Timeline
from brakit_server.analysis.window import RunFigures, Service, Window

ENDPOINTS = 500
"""Windows that are kept; the one that has been without traffic longest goes first."""


class Windows:
    """Windows by service and endpoint."""

    def __init__(self) -> None:
        self.dirty: dict[Place, Hits] = {}
        """What is to be judged anew, with what came since it was."""
        self.services: set[str | None] = set()
        """Services of which something was judged anew since they were judged as a whole."""
        self._windows: dict[Place, Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def all(self) -> Iterable[Window]:
        """Those without traffic for longest first."""
        return self._windows.values()

    def get(self, place: Place) -> Window | None:
        """The window of a place."""
        return self._windows.get(place)

    def put(self, timeline: Timeline, point: Point, counted: ShapeTotals | None, *, again: bool, now: float) -> Window | None:
        """Add a request or job to the figures of its endpoint; None for those that have no part in them.

        `counted` and `again` as in `Window.put`; `now` is when the server saw it, epoch milliseconds.
        """
        root = timeline.root
        if root is None or timeline.endpoint is None or timeline.noise:
            return None
        place = timeline.place
        window = self._windows.pop(place, None) or Window(root.service, timeline.endpoint, timeline.kind)
        self._windows[place] = window
        window.put(point, timeline, counted, again=again)
        hits = self.dirty.setdefault(place, Hits())
        if not again:
            window.last_traffic = max(window.last_traffic, now)
            hits.add(root)
        while len(self._windows) > ENDPOINTS:
            gone = next(iter(self._windows))
            del self._windows[gone]
            self.dirty.pop(gone, None)
        return window

    def remember(self, place: Place, kind: Kind, figures: RunFigures) -> None:
        """Take in an earlier run, where there is room for its endpoint."""
        window = self._windows.get(place)
        if window is None and place[1] is not None and len(self._windows) < ENDPOINTS:
            window = self._windows[place] = Window(place[0], place[1], kind)
        if window is not None:
            window.remember(figures)

    def of(self, service: str | None) -> Service:
        """All windows of a service."""
        return Service(service, [window for window in self._windows.values() if window.service == service])

    def newest(self, limit: int, since: float, until: float, each: int | None = None, endpoint: str | None = None) -> list[str]:
        """Ids of at most so many requests and jobs that began in this time, the newest of each endpoint (or of the one named) first;
        at most `each` of one endpoint in one process."""
        lists: list[list[str]] = []
        for window in self._windows.values():
            if endpoint in (None, window.endpoint):
                taken: Counter[str] = Counter()
                lists.append(ids := [])
                for point in reversed(window.points):
                    taken[point.run] += 1
                    if since <= point.started <= until and (each is None or taken[point.run] <= each):
                        ids.append(point.request_id)
        in_turn = (id for turn in zip_longest(*lists) for id in turn if id is not None)
        return list(islice(in_turn, limit))

    def clear(self) -> None:
        """Forget all."""
        self._windows.clear()
        self.dirty.clear()
        self.services.clear()
