"""`Verdicts`: what the rules say becomes of issues: found, counted once, and better with each request in which it is not found."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection, Iterable

from brakit_server.analysis.backlog import Held
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.issues import Hits, Issues
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.paths import Walk, path_of
from brakit_server.analysis.rules import Level
from brakit_server.analysis.suppression import Suppressions
from brakit_server.analysis.timeline import Place, Timeline
from brakit_server.analysis.windows import Windows

log = logging.getLogger(__name__)


class Verdicts:
    """Of one engine. `clock`: epoch milliseconds."""

    def __init__(self, judge: Judge, windows: Windows, suppressions: Suppressions, clock: Callable[[], float]) -> None:
        self.issues = Issues()
        self._suppressions = suppressions
        self._judge = judge
        self._windows = windows
        self._clock = clock
        self._by_timeline = functools.partial(self._decides, "timeline", ())

    def timeline(self, held: Held, timeline: Timeline, findings: Iterable[Finding]) -> None:
        """What was found in one request or job, or in what nothing owns."""
        now = self._clock()
        for finding in findings:
            identity = finding.identity
            counted = identity in held.found or (held.judged and self.issues.names(identity, held.id))
            path = functools.partial(path_of, timeline, finding) if held.root is not None else None
            self.issues.found(finding, now, count=not counted, path=path, suppression=self._suppressions.of(finding))
            held.found.add(identity)
        if held.root is not None and not held.judged and self.issues.alive(timeline.place):
            self.issues.clean(timeline.place, self._by_timeline, held.found, Walk(timeline), now)

    def windows(self, until: float) -> None:
        """Judge endpoints that have something new, until that time of the monotonic clock."""
        dirty = self._windows.dirty
        while dirty and time.monotonic() < until:
            place = next(iter(dirty))
            hits = dirty.pop(place)
            try:
                self._window(place, hits)
            except Exception:  # what cannot be judged for a mistake of ours costs nothing else
                log.exception("%s could not be judged", place)

    def services(self) -> None:
        """Judge services of which an endpoint was judged."""
        while self._windows.services:
            service = self._windows.services.pop()
            now = self._clock()
            findings, undecided = self._judge.service(self._windows.of(service))
            for finding in findings:
                self.issues.found(finding, now, count=1, suppression=self._suppressions.of(finding))
            found = {finding.identity for finding in findings}
            self.issues.clean_service(service, functools.partial(self._decides, "service", undecided), found, now)

    def sweep(self) -> None:
        """Let issues grow old, and look at the baseline again."""
        self._suppressions.read()
        self.issues.sweep(self._clock(), self._last_traffic)

    def _window(self, place: Place, hits: Hits) -> None:
        window = self._windows.get(place)
        if window is None:
            return
        findings, undecided = self._judge.window(window)
        now = self._clock()
        for finding in findings:
            self.issues.found(finding, now, count=hits.judged, suppression=self._suppressions.of(finding))
        found = {finding.identity for finding in findings}
        self.issues.clean(place, functools.partial(self._decides, "endpoint", undecided), found, hits, now)
        self._windows.services.add(place[0])

    def _last_traffic(self, place: Place) -> float:
        window = self._windows.get(place)
        return window.last_traffic if window is not None else 0.0

    def _decides(self, level: Level, undecided: Collection[str], rule: str) -> bool:
        return self._judge.decides(rule, level, undecided)
