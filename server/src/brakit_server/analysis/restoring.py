"""`Restoring`: what a server knows at its start of the time before: windows, and findings that the last one could not save."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping

from brakit_server.analysis.backlog import EVENTS_PER_OWNER, Backlog
from brakit_server.analysis.issues import Issues
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.paths import path_of
from brakit_server.analysis.point import point_of
from brakit_server.analysis.suppression import Suppressions
from brakit_server.analysis.timeline import Root, Timeline
from brakit_server.analysis.window import RunFigures
from brakit_server.analysis.windows import Windows
from brakit_server.answers import Run
from brakit_server.records import Entry
from brakit_server.stores import Store, Where
from brakit_server.stores.rollups import Asked, Rollup, RollupKey

log = logging.getLogger(__name__)

REBUILT = 1000
"""Newest requests, and newest jobs, from which windows are made again."""

AT_A_TIME = 50
"""Owners that are read from the store at a time."""

UNSAVED_MS = 10_000.0
"""Requests this much older than the newest may have been stored but not judged when the last server died."""

RUNS_MS = 30 * 86_400_000.0
"""Earlier runs of an endpoint are known from its rollups of this time."""


class Restoring:
    """Of one engine. `clock`: epoch milliseconds."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        windows: Windows,
        backlog: Backlog,
        suppressions: Suppressions,
        clock: Callable[[], float],
    ) -> None:
        self._suppressions = suppressions
        self._store = store
        self._judge = judge
        self._windows = windows
        self._backlog = backlog
        self._clock = clock
        self._counted: dict[str, float] = {}
        """By issue, the end of the newest request that it counts."""
        self._revisions: Mapping[str, str] = {}

    async def restore(self, issues: Issues, runs: list[Run], stopped: Callable[[], bool]) -> None:
        """Fill the windows, and `issues` with what is missing; nothing more once `stopped` says so. Raises `StoreUnavailable`."""
        self._revisions = {run.run: run.revision for run in runs if run.revision}
        where = Where(limit=REBUILT)
        requests, jobs = await self._store.requests(where), await self._store.jobs(where)
        roots: list[Root] = [*requests.entries, *jobs.entries]
        roots.sort(key=_end)
        ended = {root.id: _end(root) for root in roots}
        unsaved = _end(roots[-1]) - UNSAVED_MS if roots else 0.0
        self._counted = {
            issue.issue_id: max((ended.get(id, 0.0) for id in issue.issue.evidence), default=0.0) for issue in issues.all()
        }
        for begin in range(0, len(roots), AT_A_TIME):
            part = roots[begin : begin + AT_A_TIME]
            events = await self._store.activity([root.id for root in part])
            if stopped():
                return
            for root in part:
                try:
                    self._take_back(root, [stored.entry for stored in events.get(root.id, [])], issues, unsaved)
                except Exception:  # what cannot be judged for a mistake of ours costs nothing else
                    log.exception("%s could not be judged", root.id)
            await asyncio.sleep(0)
        now = self._clock()
        told = await self._store.rollups(Asked(since=now - RUNS_MS, until=now, by=("endpoint", "run")))
        if not stopped():
            self._remember(told.rows, {run.run: run for run in runs})
        self._windows.dirty.clear()

    def _take_back(self, root: Root, entries: list[Entry], issues: Issues, unsaved: float) -> None:
        end = _end(root)
        timeline = Timeline(root, entries[:EVENTS_PER_OWNER], self._revisions.get(root.run or ""))
        self._windows.put(timeline, point_of(timeline), {}, again=False, now=end)
        self._backlog.remember(root.id)
        if end > unsaved:
            for finding in self._judge.timeline(timeline):
                if end > self._counted.get(finding.identity, 0.0):
                    path = functools.partial(path_of, timeline, finding)
                    issues.found(finding, self._clock(), count=1, path=path, suppression=self._suppressions.of(finding))

    def _remember(self, rows: list[tuple[RollupKey, Rollup]], runs: Mapping[str, Run]) -> None:
        """Runs of which no request is among the newest. Their first requests are among the warm ones here."""
        for key, sums in rows:
            run = runs.get(key.run)
            if run is None or not sums.count or key.kind not in ("request", "job"):
                continue
            figures = RunFigures(key.run, run.started or run.first_seen_at, key.revision)
            figures.last = run.last_seen_at
            figures.durations.merge(sums.durations)
            figures.warm.merge(sums.durations)
            figures.errors = sums.errors + sums.refused
            figures.queries, figures.query_ms, figures.fetch_ms = sums.queries, sums.query_ms, sums.fetch_ms
            self._windows.remember((key.service, key.endpoint), "job" if key.kind == "job" else "request", figures)


def _end(root: Root) -> float:
    return root.timestamp + root.duration_ms
