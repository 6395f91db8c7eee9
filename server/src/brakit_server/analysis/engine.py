"""`Engine`: judges each request once, shortly after it arrived, and again only when events of it come late.

The work is proportional to what arrives; nothing looks through the store, except once at the start. Everything runs on the event
loop in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Literal

from brakit_server.analysis.backlog import EVENTS_PER_REQUEST, Backlog, Held
from brakit_server.analysis.figures import history, live
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.issues import Issues, Place
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.point import point_of
from brakit_server.analysis.rules import load
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.window import Window
from brakit_server.answers import Category, EndpointMetrics, LiveEndpointData, State, StatefulIssue
from brakit_server.records import Entry, Error, Job, Request
from brakit_server.stores import Store, Stored, StoreUnavailable, Where
from brakit_server.stores import Timeline as StoredTimeline

log = logging.getLogger(__name__)

JUDGE_AFTER_S = 0.3
"""Wait after the request event: most of its other events are there by then."""

SLICE_S = 0.008
"""The loop is held at most about so long."""

SAVE_AFTER_S = 0.4
"""Changes of issues are collected for so long before they are saved and published."""

RETRY_S = 2.0
"""Wait before the store is asked again when it was unavailable."""

STOP_S = 1.0
"""Time to judge what is left when the server stops; the next one begins with it."""

SWEEP_S = 30.0

ORPHAN_S = 60.0
"""Errors whose request has not come by then count as outside any request."""

REBUILT = 1000
"""Newest requests from which windows are rebuilt at the start."""

REREAD = 50
"""Requests that are read again from the store at a time."""

UNSAVED_MS = 10_000.0
"""Requests this much older than the newest may have been stored but not judged when the last server died."""

ENDPOINTS = 500
"""Windows that are kept; the one that has been without traffic longest goes first."""


def epoch_ms() -> float:
    return time.time() * 1000


class Engine:
    """The analysis of one project. `settings` may have a table `rules`. Raises `rules.SettingError`.

    `on_issues` is called on the event loop with all issues, a short while after some of them changed.
    """

    def __init__(
        self,
        store: Store,
        *,
        project: str,
        settings: dict[str, object],
        on_issues: Callable[[list[StatefulIssue]], None],
        clock: Callable[[], float] = epoch_ms,
    ) -> None:
        self.project = project
        self._store = store
        self._publish = on_issues
        self._clock = clock
        self._judge = Judge(load(settings.get("rules")))
        self._issues = Issues()
        self._windows: dict[Place, Window] = {}
        self._backlog = Backlog(clock())
        self._reread: list[Held] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._cleared = 0
        self._save_planned = False
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    @property
    def quarantined(self) -> list[str]:
        """Ids of rules that failed or took too long several times, and are not asked any more."""
        return self._judge.quarantined

    async def start(self) -> None:
        """Load issues and rebuild the windows from the newest requests. Raises `StoreUnavailable`."""
        self._issues = Issues(await self._store.issues())
        page = await self._store.requests(Where(limit=REBUILT))
        requests = sorted(page.entries, key=lambda request: request.timestamp + request.duration_ms)
        ended = {request.id: request.timestamp + request.duration_ms for request in requests}
        counted = {
            issue.issue_id: max((ended.get(id, 0.0) for id in issue.issue.evidence), default=0.0) for issue in self._issues.all()
        }
        for begin in range(0, len(requests), REREAD):
            part = requests[begin : begin + REREAD]
            timelines = await self._store.timelines([request.id for request in part])
            for request in part:
                known = timelines.get(request.id)
                entries = [stored.entry for stored in known.entries] if known else []
                with _failing_alone(request.id):
                    self._rebuild(request, Timeline(request, entries), ended, counted)
        self._running = True
        self._plan(self._sweeping())
        self._changed()
        self._arm()

    def observe(self, stored: list[Stored]) -> None:
        """Take in what was just stored. Cheap; to be called on the event loop."""
        now = asyncio.get_running_loop().time()
        for each in stored:
            entry = each.entry
            if isinstance(entry, Request):
                self._backlog.request(entry, now)
            elif isinstance(entry, Job):
                # An owner as a request is, which the rules do not know: no part of the request that enqueued it.
                continue
            elif entry.parent_request_id:
                self._backlog.event(entry, entry.parent_request_id, now)
            elif isinstance(entry, Error):
                self._backlog.alone(entry, now)
        self._arm()

    async def settle(self, seconds: float = float("inf")) -> None:
        """Judge all that has arrived, without waiting for more, and save; what is not done after `seconds` is left.

        Raises `StoreUnavailable`.
        """
        until = time.monotonic() + seconds
        while (self._backlog.due or self._reread) and time.monotonic() < until:
            while time.monotonic() < until and (held := self._backlog.take_due(float("inf"))) is not None:
                self._take(held)
            await self._read_again()
        await self._save()

    async def stop(self) -> None:
        """Judge and save what is left, and end."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable):
            await self.settle(STOP_S)

    def issues(self, state: State | None = None, category: Category | None = None) -> list[StatefulIssue]:
        """All issues, worst first. `state` wins over `category`."""
        return self._issues.all(state, category)

    def report(self, finding_id: str, status: Literal["fixed", "wont_fix"], notes: str) -> bool:
        """Take down what was done about an issue; False when there is no such issue."""
        known = self._issues.report(finding_id, status, notes)
        self._changed()
        return known

    async def clear(self) -> None:
        """Forget all issues, figures and events. Raises `StoreUnavailable`."""
        self._cleared += 1
        self._backlog.clear()
        self._reread.clear()
        self._windows.clear()
        self._issues.clear()
        await self._save()

    def live_metrics(self) -> list[LiveEndpointData]:
        """Figures of every endpoint with its newest requests, slowest first."""
        return live(self._windows.values())

    def metrics(self, endpoint: str | None = None) -> list[EndpointMetrics]:
        """Figures by run of every endpoint, or of the one named."""
        return history(self._windows.values(), endpoint)

    def _arm(self) -> None:
        if self._timer is None and self._running and self._backlog.due:
            loop = asyncio.get_running_loop()
            oldest = next(iter(self._backlog.due.values())).arrived
            self._timer = loop.call_later(max(0.002, oldest + JUDGE_AFTER_S - loop.time()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        until = time.perf_counter() + SLICE_S
        before = asyncio.get_running_loop().time() - JUDGE_AFTER_S
        while time.perf_counter() < until and (held := self._backlog.take_due(before)) is not None:
            self._take(held)
        self._arm()

    def _take(self, held: Held) -> None:
        if held.reread:
            self._reread.append(held)
            if self._running and len(self._reread) == 1 and not self._reading.locked():
                self._plan(self._read_again())
        else:
            with _failing_alone(held.id):
                self._pass(held)

    async def _read_again(self) -> None:
        """Complete from the store those requests whose events are not all here, and judge them."""
        async with self._reading:
            while self._reread:
                part, cleared = self._reread[:REREAD], self._cleared
                try:
                    timelines = await self._store.timelines([held.id for held in part])
                except StoreUnavailable:
                    if not self._running:
                        raise
                    await asyncio.sleep(RETRY_S)
                    continue
                if cleared == self._cleared:
                    del self._reread[: len(part)]
                    for held in part:
                        with _failing_alone(held.id):
                            self._complete(held, timelines.get(held.id))

    def _complete(self, held: Held, known: StoredTimeline | None) -> None:
        held.reread = False
        if known is not None:
            held.request = known.request
            held.entries = [stored.entry for stored in known.entries[:EVENTS_PER_REQUEST]]
        if held.request is not None:
            self._pass(held)
        else:
            held.judged = False
            self._backlog.wait(held)

    def _pass(self, held: Held) -> None:
        """Judge one request, or an event that none owns."""
        timeline = Timeline(held.request, held.entries)
        findings = self._judge.timeline(timeline)
        undecided: set[str] = set()
        if held.request is not None:
            window = self._window(timeline, again=held.judged)
            if window is not None:
                more, undecided = self._judge.window(window)
                findings += more
        self._count(held, timeline, findings, undecided)
        if held.request is not None:
            self._backlog.keep(held, asyncio.get_running_loop().time())
        self._changed()

    def _count(self, held: Held, timeline: Timeline, findings: Iterable[Finding], undecided: set[str]) -> None:
        now = self._clock()
        for finding in findings:
            identity = finding.identity
            counted = identity in held.found or (held.judged and self._issues.names(identity, held.id))
            self._issues.found(finding, now, count=not counted)
            held.found.add(identity)
        if held.request is not None and not held.judged:
            place = (timeline.service, timeline.endpoint)
            self._issues.clean(held.request, place, held.found, undecided, now)

    def _window(self, timeline: Timeline, *, again: bool) -> Window | None:
        """Add a request to the figures of its endpoint; None for requests that have no part in them."""
        request = timeline.request
        if request is None or timeline.endpoint is None or request.is_static or request.is_health_check:
            return None
        place = (request.service, timeline.endpoint)
        window = self._windows.pop(place, None) or Window(*place)
        self._windows[place] = window
        window.put(point_of(request, timeline), again=again)
        window.last_traffic = max(window.last_traffic, self._clock() if not again else 0.0)
        while len(self._windows) > ENDPOINTS:
            del self._windows[next(iter(self._windows))]
        return window

    def _rebuild(self, request: Request, timeline: Timeline, ended: dict[str, float], counted: dict[str, float]) -> None:
        """Take in a request from before the start. `ended`: when requests did, by id, in that order; `counted`: by issue, the
        end of the newest request that it counts."""
        end, newest = ended[request.id], next(reversed(ended.values()))
        window = self._window(timeline, again=False)
        if window is not None:
            window.last_traffic = end
        self._backlog.remember(request.id)
        if end > newest - UNSAVED_MS:
            for finding in self._judge.timeline(timeline):
                if end > counted.get(finding.identity, 0.0):
                    self._issues.found(finding, self._clock(), count=True)

    def _changed(self) -> None:
        if self._issues.dirty and self._running and not self._save_planned:
            self._save_planned = True
            self._plan(self._save_soon())

    async def _save_soon(self) -> None:
        await asyncio.sleep(SAVE_AFTER_S)
        while True:
            try:
                self._save_planned = False
                await self._save()
                return
            except StoreUnavailable:
                self._save_planned = True
                await asyncio.sleep(RETRY_S)

    async def _save(self) -> None:
        async with self._saving:
            if not self._issues.dirty:
                return
            self._publish(self._issues.all())
            changed, removed = self._issues.take_changes()
            try:
                await self._store.save_issues(changed, removed)
            except BaseException:
                self._issues.return_changes(changed, removed)
                raise

    async def _sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._sweep()

    def _sweep(self) -> None:
        for held in self._backlog.overdue(asyncio.get_running_loop().time() - ORPHAN_S):
            errors: list[Entry] = [entry for entry in held.entries if isinstance(entry, Error)]
            if len(errors) > held.errors:
                held.errors = len(errors)
                with _failing_alone(held.id):
                    timeline = Timeline(None, errors)
                    self._count(held, timeline, self._judge.timeline(timeline), set())
        self._issues.sweep(self._clock(), self._last_traffic)
        self._changed()

    def _last_traffic(self, place: Place) -> float:
        window = self._windows.get(place)
        return window.last_traffic if window is not None else 0.0

    def _plan(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def _failing_alone(id: str) -> Iterator[None]:
    """What cannot be judged for a mistake of ours is not judged; all that comes after it is."""
    try:
        yield
    except Exception:
        log.exception("%s could not be judged", id)
