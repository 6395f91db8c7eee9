"""Pages that ask for the same thing several times at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds
from brakit_server.analysis.point import Point
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import Window
from brakit_server.answers import Severity
from brakit_server.sketch import median


class Duplicate(Rule):
    """*What it finds.* The same read (GET, with the same parameters) that one page in one browser makes `min_count` times and
    more in a burst, each within `within_ms` of the one before, on at least `min_bursts` occasions.

    *Why it matters.* Parts of a page that do not know of each other fetch the same data: the server does the same work several
    times, and the page waits for the last of them.

    *Fix.* Fetch it once and share it: in a parent, a store, or a client that joins equal requests under way (TanStack Query,
    SWR, Apollo).

    *What it leaves alone.* Two at a time (React's development mode mounts everything twice), polling and reloads, which are
    slower than a burst, tries after a failure, requests that name no page (`Referer`), and assets.
    """

    title = "Duplicate requests"
    category = "performance"
    aliases = ("repeated-calls-in-flow",)
    kinds = ("request",)

    min_count: int = 3
    within_ms: float = 200.0
    """From start to start: nobody clicks so fast, and few things poll so often."""
    min_bursts: int = 2
    warning_ms: float = 100.0
    """Of the server's time, for nothing, in one burst."""

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        asked: dict[int, list[Point]] = {}
        for point in window.points:
            if point.asked is not None and point.timed() and not point.failed:
                asked.setdefault(point.asked, []).append(point)
        if not asked:
            return None
        bursts = [burst for points in asked.values() for burst in self._bursts(points) if len(burst) >= self.min_count]
        if len(bursts) < self.min_bursts:
            return []
        largest = max(bursts, key=len)
        cost = median([sum(point.duration_ms for point in burst[1:]) for burst in bursts])
        severity: Severity = "warning" if cost >= self.warning_ms else "info"
        shown = [point.request_id for burst in reversed(bursts) for point in burst]
        return [
            self.finding(
                window,
                severity=severity,
                title="Duplicate requests",
                desc=f"{window.endpoint} is asked up to {len(largest)} times for the same at once by one page, on {len(bursts)}"
                f" occasions: {milliseconds(cost)} of work each time for what was on its way already.",
                hint="Fetch it once in the page and share it, or use a client that joins equal requests under way.",
                subject="",
                evidence=shown[:EVIDENCE_LIMIT],
                cost_ms=cost,
                confidence="likely",
            )
        ]

    def _bursts(self, points: list[Point]) -> Iterator[list[Point]]:
        current: list[Point] = []
        for point in sorted(points, key=lambda point: point.started):
            if current and point.started - current[-1].started > self.within_ms:
                yield current
                current = []
            current.append(point)
        yield current
