"""`Engine`: judges each request and job once, shortly after it arrived, and again only when events of it come late.

The work is proportional to what arrives; nothing looks through the store, except once at the start. Everything runs on the event
loop in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Literal

from brakit_server.analysis.backlog import EVENTS_PER_OWNER, Backlog, Held
from brakit_server.analysis.figures import Cache
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.folding import Folding
from brakit_server.analysis.issues import Issues, Said, Who
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.point import Point, point_of
from brakit_server.analysis.restoring import Restoring
from brakit_server.analysis.rules import load
from brakit_server.analysis.saving import Saving
from brakit_server.analysis.suppression import Suppressions
from brakit_server.analysis.timeline import Root, Timeline
from brakit_server.analysis.verdicts import Verdicts
from brakit_server.analysis.windows import Windows
from brakit_server.answers import Category, EndpointMetrics, LiveEndpointData, Run, State, StatefulIssue
from brakit_server.records import Entry, Error
from brakit_server.stores import Resource, Store, Stored, StoreUnavailable
from brakit_server.stores.rollups import Asked, Told

log = logging.getLogger(__name__)

JUDGE_AFTER_S = 0.3
"""Wait after the request event: most of its other events are there by then."""

SLICE_S = 0.005
"""The loop is held at most about so long."""

LARGE = 1_000
"""Events of one owner from which on the loop goes on between one rule and the next."""

WINDOWS_S = 0.25
"""Endpoints with new requests are judged so often while there is always something else to do."""

RETRY_S = 2.0
"""Wait before the store is asked again when it was unavailable."""

STOP_S = 1.0
"""Time to judge what is left when the server stops; the next one begins with it."""

FOLD_S = 5.0
"""Rollups are saved so often. What is lost with the server is read again by the next."""

SWEEP_S = 30.0

ORPHAN_S = 60.0
"""Errors whose owner has not come by then count as outside any."""

START_S = 0.25
"""The server waits so long for what it knows of the time before; beyond, that goes on while requests come."""

REREAD = 50
"""Owners that are read again from the store at a time."""

RUNS = 1_000
"""Processes of which the git revision is remembered."""


def epoch_ms() -> float:
    return time.time() * 1000


class Engine:
    """The analysis of one project. `settings` may have a table `rules` and tables `ignore`. Raises `rules.SettingError`.

    `on_issues` is called on the event loop with all issues, a short while after some of them changed, if `watched` says so.
    """

    def __init__(
        self,
        store: Store,
        *,
        project: str,
        settings: dict[str, object],
        on_issues: Callable[[list[StatefulIssue]], None],
        watched: Callable[[], bool] = lambda: True,
        baseline: Path | None = None,
        clock: Callable[[], float] = epoch_ms,
    ) -> None:
        self.project = project
        self.judge = Judge(load(settings.get("rules")))
        self._store = store
        self._clock = clock
        self._saving = Saving(store, on_issues, watched)
        self._windows = Windows()
        self.suppressions = Suppressions(settings.get("ignore", ()), baseline)
        self._verdicts = Verdicts(self.judge, self._windows, self.suppressions, clock)
        self._folding = Folding(store, clock)
        self._fold_planned = False
        self._seq = 0
        self._figures = Cache()
        self._backlog = Backlog(clock())
        self._restoring = Restoring(store, self.judge, self._windows, self._backlog, self.suppressions, clock)
        self._revisions: dict[str, str] = {}
        self._reread: list[Held] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = asyncio.Lock()
        self._cleared = 0
        self._timer: asyncio.TimerHandle | None = None
        self._windows_at = 0.0
        self._running = False
        self._rebuilt = asyncio.Event()
        self._slow: set[asyncio.Task[None]] = set()

    @property
    def quarantined(self) -> list[str]:
        """Ids of rules that failed or took too long several times, and are not asked any more."""
        return self.judge.quarantined

    @property
    def behind(self) -> int:
        """Requests and jobs that are to be judged."""
        return len(self._backlog.due) + len(self._reread)

    @property
    def given_up(self) -> int:
        """Requests and jobs since the start that were not judged because too many came."""
        return self._backlog.given_up

    async def start(self) -> None:
        """Load issues and begin to rebuild the windows from the newest requests. Raises `StoreUnavailable`."""
        self._verdicts.issues = Issues(await self._store.issues())
        runs = await self._store.runs()
        self._revisions = {run.run: run.revision for run in runs if run.revision}
        last = await self._store.last_seq()
        if runs or not last:
            stored_until = max((run.last_seen_at for run in runs), default=0.0)
            self._backlog.resume(stored_until, asyncio.get_running_loop().time())
        self._running = True
        self._plan(self._catch_up(last))
        self._plan(self._rebuild(runs))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._rebuilt.wait()
        self._plan(self._sweeping())
        self._changed()

    def observe(self, stored: list[Stored], resource: Resource | None = None) -> None:
        """Take in what was just stored, and who sent it. Cheap; to be called on the event loop."""
        if resource is not None and resource.revision and self._revisions.get(resource.run) != resource.revision:
            self._revisions[resource.run] = resource.revision
            while len(self._revisions) > RUNS:
                del self._revisions[next(iter(self._revisions))]
        if not stored:
            return
        self._seq = stored[-1].seq
        self._folding.seen(stored)
        self._backlog.take_in(stored, asyncio.get_running_loop().time())
        while self._backlog.dismissed:
            self._dismiss(self._backlog.dismissed.pop())
        if self._timer is None:
            self._arm()

    async def settle(self, seconds: float = float("inf")) -> None:
        """Judge all that has arrived, without waiting for more, and save; what is not done after `seconds` is left.

        Raises `StoreUnavailable`.
        """
        until = time.monotonic() + seconds
        if self._running:
            await self._rebuilt.wait()
            await self._folding.caught_up.wait()
        while (self._backlog.due or self._reread) and time.monotonic() < until:
            while time.monotonic() < until and (held := self._backlog.take_due(float("inf"))) is not None:
                self._take(held)
            await self._read_again()
            await asyncio.gather(*self._slow)
        self._verdicts.windows(until)
        self._verdicts.services()
        await self._saving.now(self._verdicts.issues)
        await self._folding.save(self._folded())

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
        return self._verdicts.issues.all(state, category)

    def report(self, finding_id: str, status: Literal["fixed", "wont_fix"], notes: str) -> bool:
        """Take down what an agent did about an issue; False when there is no such issue."""
        known = self._verdicts.issues.report(finding_id, status, notes, self._clock())
        self._changed()
        return known

    async def set_state(self, issue_id: str, state: Said, why: str, by: Who) -> StatefulIssue | None:
        """Somebody says what state an issue has, and it is saved; None when there is no such issue. Raises `StoreUnavailable`."""
        issue = self._verdicts.issues.set(issue_id, state, why, by, self._clock())
        await self._saving.now(self._verdicts.issues)
        return issue

    def forget(self) -> None:
        """Forget the events that are not judged and the figures that are not saved: the store is about to be cleared."""
        self._cleared += 1
        self._backlog.clear()
        self._reread.clear()
        self._folding.clear()

    async def clear(self) -> None:
        """Forget all issues, figures and events. Raises `StoreUnavailable`."""
        self.forget()
        self._windows.clear()
        self._verdicts.issues.clear()
        await self._saving.now(self._verdicts.issues)

    def live_metrics(self) -> list[LiveEndpointData]:
        """Figures of every endpoint with its newest requests, slowest first."""
        return self._figures.live(self._windows.all())

    def metrics(self, endpoint: str | None = None) -> list[EndpointMetrics]:
        """Figures by run of every endpoint, or of the one named."""
        return self._figures.history(self._windows.all(), endpoint)

    def newest(self, limit: int, since: float, until: float, each: int | None = None, endpoint: str | None = None) -> list[str]:
        """Ids of the newest requests and jobs that began in this time, about as many of each endpoint (or of the one named), and at
        most `each` of one endpoint in one process."""
        return self._windows.newest(limit, since, until, each, endpoint)

    def now(self) -> float:
        """Epoch milliseconds."""
        return self._clock()

    async def rollups(self, asked: Asked) -> Told:
        """Figures added up as asked, up to what was judged last. Raises `StoreUnavailable`."""
        return await self._folding.tell(asked)

    def _arm(self) -> None:
        if self._timer is not None or not self._running or not self._rebuilt.is_set():
            return
        loop = asyncio.get_running_loop()
        if self._backlog.due:
            oldest = next(iter(self._backlog.due.values())).arrived
            self._timer = loop.call_later(max(0.001, oldest + JUDGE_AFTER_S - loop.time()), self._tick)
        elif self._windows.dirty:
            self._timer = loop.call_later(0.001, self._tick)

    def _tick(self) -> None:
        self._timer = None
        until = time.perf_counter() + SLICE_S
        now = asyncio.get_running_loop().time()
        if now - self._windows_at < WINDOWS_S or not self._windows.dirty:
            while time.perf_counter() < until and (held := self._backlog.take_due(now - JUDGE_AFTER_S)) is not None:
                self._take(held)
        if time.perf_counter() < until:
            self._windows_at = now
            self._verdicts.windows(time.monotonic() + max(0.0, until - time.perf_counter()))
        self._changed()
        self._arm()

    def _take(self, held: Held) -> None:
        if held.reread:
            self._reread.append(held)
            if self._running and len(self._reread) == 1 and not self._reading.locked():
                self._plan(self._read_again())
        elif self._running and len(held.entries) > LARGE:
            task = self._plan(self._pass_slowly(held))
            self._slow.add(task)
            task.add_done_callback(self._slow.discard)
        else:
            self._pass(held)

    async def _read_again(self) -> None:
        """Complete from the store those whose events are not all here, and judge them."""
        async with self._reading:
            while self._reread:
                part, cleared = self._reread[:REREAD], self._cleared
                ids = [held.id for held in part]
                try:
                    roots, events = await self._store.owners(ids), await self._store.activity(ids)
                except StoreUnavailable:
                    if not self._running:
                        raise
                    await asyncio.sleep(RETRY_S)
                    continue
                if cleared == self._cleared:
                    del self._reread[: len(part)]
                    for held in part:
                        self._complete(held, roots.get(held.id), events.get(held.id, []))
        self._arm()

    def _complete(self, held: Held, root: Root | None, events: list[Stored]) -> None:
        held.reread = False
        if root is not None:
            held.root = root
            if held.judged and held.point is None:
                held.point = point_of(Timeline(root, [stored.entry for stored in events if stored.seq < held.first]))
            held.entries = [stored.entry for stored in events[:EVENTS_PER_OWNER]]
            held.last = max([held.last, *(stored.seq for stored in events)])
        if held.root is not None:
            self._pass(held)
        else:
            held.judged = False
            self._backlog.wait(held)

    def _pass(self, held: Held) -> None:
        """Judge one request or job, or an event that none owns."""
        try:
            timeline = self._timeline(held)
            self._conclude(held, timeline, self.judge.timeline(timeline))
        except Exception:
            log.exception("%s could not be judged", held.id)
        finally:
            self._backlog.drop(held)

    async def _pass_slowly(self, held: Held) -> None:
        """The same for one that has very many events, with pauses."""
        try:
            timeline = self._timeline(held)
            findings: list[Finding] = []
            for found in self.judge.steps(timeline):
                findings += found
                await asyncio.sleep(0)
            if held.id in self._backlog.working:
                self._conclude(held, timeline, findings)
        except Exception:
            log.exception("%s could not be judged", held.id)
        finally:
            self._backlog.drop(held)
        self._arm()

    def _dismiss(self, held: Held) -> None:
        """Too many came: it is not judged, and yet one of them."""
        if held.root is not None and not held.reread and (not held.judged or held.point is not None):
            with _failing_alone(held.id):
                timeline = self._timeline(held)
                self._fold(timeline, point_of(timeline), held.point, held.last, again=held.judged)

    def _fold(self, timeline: Timeline, point: Point, before: Point | None, seq: int, *, again: bool) -> None:
        if again and before is None:
            return
        self._folding.add(timeline, point, before if again else None, seq)
        if self._running and not self._fold_planned:
            self._fold_planned = True
            self._plan(self._fold_soon())

    async def _fold_soon(self) -> None:
        while self._folding.waiting:
            await asyncio.sleep(FOLD_S)
            with contextlib.suppress(StoreUnavailable):
                await self._folding.save(self._folded())
        self._fold_planned = False

    def _folded(self) -> int:
        """The `seq` up to which all events are counted in what was given to the rollups."""
        folded = self._backlog.folded
        return self._seq if folded is None else folded - 1

    async def _catch_up(self, last: int) -> None:
        while True:
            try:
                await self._folding.catch_up(last, self._revisions)
                return
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)

    def _timeline(self, held: Held) -> Timeline:
        run = held.root.run if held.root is not None else None
        return Timeline(held.root, held.entries, self._revisions.get(run) if run else None)

    def _conclude(self, held: Held, timeline: Timeline, findings: list[Finding]) -> None:
        self._verdicts.timeline(held, timeline, findings)
        if held.root is not None:
            again, before = held.judged, held.point
            held.point = point_of(timeline)
            self._fold(timeline, held.point, before, held.last, again=again)
            self._windows.put(timeline, held.point, held.shapes, again=again, now=self._clock())
            self._backlog.keep(held, asyncio.get_running_loop().time())

    async def _rebuild(self, runs: list[Run]) -> None:
        cleared = self._cleared
        while True:
            try:
                await self._restoring.restore(self._verdicts.issues, runs, lambda: cleared != self._cleared)
            except StoreUnavailable:
                self._windows.clear()
                await asyncio.sleep(RETRY_S)
            else:
                break
        self._rebuilt.set()
        self._arm()

    def _changed(self) -> None:
        if self._running and self._saving.plan(self._verdicts.issues):
            self._plan(self._saving.soon(self._verdicts.issues))

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
                    self._verdicts.timeline(held, timeline, self.judge.timeline(timeline))
        self._verdicts.services()
        self._verdicts.sweep()
        self._changed()

    def _plan(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@contextlib.contextmanager
def _failing_alone(id: str) -> Iterator[None]:
    """What cannot be judged for a mistake of ours is not judged; all that comes after it is."""
    try:
        yield
    except Exception:
        log.exception("%s could not be judged", id)
