"""Events made up for the analysis, a store in memory, and the labelled corpus."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import pytest

from brakit import redact
from brakit.masked import seen
from brakit_server.analysis.engine import Engine
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.point import point_of
from brakit_server.analysis.rules import load
from brakit_server.analysis.shape import unified
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.windows import Windows
from brakit_server.answers import Run, StatefulIssue
from brakit_server.records import (
    KINDS,
    AuthCheck,
    Callsite,
    Cookie,
    Entry,
    Error,
    Fetch,
    Frame,
    Job,
    Log,
    Masked,
    Query,
    Request,
    Span,
)
from brakit_server.stores import Page, Stored, StoreUnavailable, Where
from brakit_server.stores.rollups import Asked, Rollup, RollupKey, Told

T0 = 1_760_000_000_000.0
SITE = ("app/orders.py", 42, "list_orders")


class Make:
    """Makes entries: each begins a millisecond after the one before, in request `r1` unless told otherwise."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.now = T0

    def _entry(self, kind: str, owner: str | None) -> dict[str, Any]:
        self.now += 1
        return {
            "id": f"{kind}{next(self._ids)}",
            "timestamp": self.now,
            "parent_request_id": owner,
            "service": "shop",
            "run": "run1",
        }

    def request(
        self, id: str = "r1", *, route: str | None = "/orders", ms: float = 100.0, status: int = 200, **more: Any
    ) -> Request:
        path = more.pop("path", route or "/")
        fields: dict[str, Any] = {
            **self._entry("r", None),
            "id": id,
            "method": "GET",
            "url": path,
            "path": path,
            "route": route,
            "status_code": status,
            "duration_ms": ms,
            "headers": {},
            "response_headers": {},
            "request_body": None,
            "response_body": None,
            "response_size": 2,
            "is_static": False,
            "is_health_check": False,
        }
        fields.update(more)
        return Request(**{"started_at": fields["timestamp"], **fields})

    def query(
        self,
        sql: str | None = "SELECT id, name FROM items WHERE order_id = ?",
        params: str | None = None,
        *,
        owner: str | None = "r1",
        ms: float = 1.0,
        table: str = "items",
        site: tuple[str, int, str] | None = SITE,
        **more: Any,
    ) -> Query:
        operation = more.pop("operation", (sql or "SELECT").split()[0].upper())
        fields: dict[str, Any] = {
            **self._entry("q", owner),
            "driver": "sqlalchemy",
            "source": "sqlalchemy",
            "operation": operation,
            "normalized_op": operation,
            "table": table,
            "duration_ms": ms,
            "sql": sql,
            "shape_hash": "".join(re.findall(r"[\w*]+", re.sub(r"(\?, )+\?", "?", unified(sql))))[:99]
            if sql
            else f"{operation} {table}",
            "params_hash": params,
            "call_site": Callsite(file=site[0], line=site[1], function=site[2]) if site else None,
        }
        return Query(**{**fields, **more})

    def fetch(self, url: str = "http://127.0.0.1:9/charge", *, owner: str | None = "r1", ms: float = 5.0, **more: Any) -> Fetch:
        site = Callsite(file="app/pay.py", line=9, function="charge")
        fields = {
            **self._entry("f", owner),
            "url": url,
            "method": "POST",
            "status_code": 200,
            "duration_ms": ms,
            "call_site": site,
        }
        return Fetch(**{**fields, **more})

    def raw_request(self, id: str = "r1", **more: Any) -> Request:
        """A request as the SDK tells of one with this URL and these bodies, headers and cookies: masked, the masks described."""
        headers, answered = more.pop("headers", {}), more.pop("response_headers", {})
        path = more.pop("url", more.get("path") or more.get("route") or "/orders")
        masked = seen(path, redact.url(path), "url")
        for name, place, kinds in (("request_body", "requestBody", headers), ("response_body", "responseBody", answered)):
            given = more.get(name)
            if given is not None:
                more[name] = redact.body(given, kinds.get("content-type", "application/json"))
                masked += seen(given, more[name], place)
        cookies = redact.cookies([answered["set-cookie"]]) if "set-cookie" in answered else []
        fields = {
            "url": redact.url(path),
            "headers": {name: redact.header(name, value) for name, value in headers.items()},
            "response_headers": {name: redact.header(name, value) for name, value in answered.items()},
            "cookies": [Cookie(**cookie) for cookie in cookies] or None,  # type: ignore[arg-type]
            "masked": [Masked(**one) for one in masked] or None,
        }
        return self.request(id, **{"path": path.partition("?")[0], "framework": "flask", **fields, **more})

    def raw_log(self, message: str, *, owner: str | None = "r1", **more: Any) -> Log:
        """A log record as the SDK tells of one with this message."""
        shown = redact.text(message)
        masked = [Masked(**one) for one in seen(message, shown, "message")] or None
        site = Callsite(file="app/pay.py", line=9, function="charge")
        return Log(
            **{
                **self._entry("l", owner),
                "level": "info",
                "message": shown,
                "masked": masked,
                "logger": "app",
                "call_site": site,
                **more,
            }
        )

    def log(self, message: str = "hello", *, owner: str | None = "r1") -> Log:
        return Log(**self._entry("l", owner), level="info", message=message)

    def span(self, *, owner: str | None = "r1", **more: Any) -> Span:
        return Span(**{**self._entry("s", owner), "name": "work", "duration_ms": 1.0, "span_id": "5" * 16, **more})

    def auth(self, *, owner: str | None = "r1", **more: Any) -> AuthCheck:
        return AuthCheck(**{**self._entry("a", owner), "provider": "session", "result": "allowed", **more})

    def job(
        self, id: str = "j1", name: str = "send_invoices", *, ms: float = 100.0, status: str = "succeeded", **more: Any
    ) -> Job:
        return Job(**{**self._entry("j", None), "id": id, "name": name, "duration_ms": ms, "status": status, **more})

    def error(
        self,
        name: str = "ValueError",
        message: str = "no such price",
        *,
        owner: str | None = "r1",
        place: tuple[str, int, str] | None = ("app/pay.py", 9, "charge"),
        **more: Any,
    ) -> Error:
        frames = None
        if place:
            library = Frame(file="starlette/routing.py", line=700, function="app", own=False)
            own = Frame(
                file=place[0],
                line=place[1],
                function=place[2],
                own=True,
                code=["a", "price = prices[sku]", "c"],
                code_start=place[1] - 1,
            )
            inner = Frame(file="pydantic/main.py", line=3, function="validate", own=False)
            frames = [library, own, inner]
        return Error(**{**self._entry("e", owner), "name": name, "message": message, "frames": frames, **more})


class Expected(NamedTuple):
    """A finding that a case must have: its rule and severity, and words that must stand in its text."""

    rule: str
    severity: str
    words: tuple[str, ...] = ()


class Case(NamedTuple):
    """One labelled example."""

    name: str
    entries: list[Entry]
    expected: list[Expected]


class MemoryStore:
    """What the engine needs of a store, in memory; durable as long as the object is."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.saved: dict[str, StatefulIssue] = {}
        self.reads = 0
        self.unavailable = False
        self.known: dict[str, Run] = {}
        self.cells: dict[RollupKey, Rollup] = {}
        self.upto = 0

    def append(self, entries: list[Entry]) -> list[Stored]:
        kinds = {kind: name for name, kind in KINDS.items()}
        new = [Stored(len(self.stored) + n, kinds[type(entry)], entry) for n, entry in enumerate(entries, 1)]
        self.stored += new
        return new

    async def requests(self, where: Where) -> Page[Request]:
        found = [each.entry for each in self.stored if isinstance(each.entry, Request)]
        found.sort(key=lambda request: request.timestamp, reverse=True)
        return Page(total=len(found), entries=found[: where.limit])

    async def jobs(self, where: Where) -> Page[Job]:
        found = [each.entry for each in self.stored if isinstance(each.entry, Job)]
        found.sort(key=lambda job: job.timestamp, reverse=True)
        return Page(total=len(found), entries=found[: where.limit])

    async def runs(self) -> list[Run]:
        return list(self.known.values())

    async def owners(self, ids: list[str]) -> dict[str, Request | Job]:
        self.reads += 1
        if self.unavailable:
            raise StoreUnavailable("the disk is full")
        return {
            each.entry.id: each.entry for each in self.stored if isinstance(each.entry, Request | Job) and each.entry.id in ids
        }

    async def activity(self, owner_ids: list[str]) -> dict[str, list[Stored]]:
        found: dict[str, list[Stored]] = {id: [] for id in owner_ids}
        for each in self.stored:
            if each.entry.parent_request_id in found and not isinstance(each.entry, Request | Job):
                found[each.entry.parent_request_id].append(each)
        return found

    async def since(self, seq: int, limit: int) -> list[Stored]:
        return self.stored[seq : seq + limit]

    async def last_seq(self) -> int:
        return len(self.stored)

    async def save_rollups(self, cells: list[tuple[RollupKey, Rollup]], upto: int) -> None:
        if self.unavailable:
            raise StoreUnavailable("the disk is full")
        for key, rollup in cells:
            self.cells.setdefault(key, Rollup()).add(rollup)
        self.upto = upto

    async def rollups_upto(self) -> int:
        return self.upto

    async def rollups(self, asked: Asked) -> Told:
        rows: dict[RollupKey, Rollup] = {}
        for key, rollup in self.cells.items():
            if asked.matches(key):
                rows.setdefault(asked.place(key), Rollup()).add(rollup)
        return Told(since=asked.since, upto=self.upto, rows=list(rows.items()))

    async def issues(self) -> list[StatefulIssue]:
        return list(self.saved.values())

    async def save_issues(self, issues: list[StatefulIssue], removed: list[str]) -> None:
        if self.unavailable:
            raise StoreUnavailable("the disk is full")
        self.saved.update({issue.issue_id: issue for issue in issues})
        for issue_id in removed:
            self.saved.pop(issue_id, None)


class Bench:
    """A started engine over a store in memory, with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = T0 - 1000
        self.published: list[list[StatefulIssue]] = []
        self.settings: dict[str, object] = {}
        self.engine = self._new()

    def _new(self) -> Engine:
        return Engine(
            self.store,  # type: ignore[arg-type]
            project="shop",
            settings=self.settings,
            on_issues=self.published.append,
            clock=lambda: self.now,
        )

    async def restart(self) -> None:
        await self.engine.stop()
        self.engine = self._new()
        await self.engine.start()

    async def die(self) -> None:
        """What is stored is all that the next server has."""
        self.engine._running = False
        if self.engine._timer is not None:
            self.engine._timer.cancel()
        for task in self.engine._tasks:
            task.cancel()
        await asyncio.gather(*self.engine._tasks, return_exceptions=True)
        self.now = max((each.entry.timestamp for each in self.store.stored), default=0.0) + 60_000
        self.engine = self._new()
        await self.engine.start()

    async def see(self, *entries: Entry) -> None:
        """Store and judge."""
        self.engine.observe(self.store.append(list(entries)))
        await self.engine.settle()


def judged(entries: list[Entry]) -> list[Finding]:
    """What the rules find at the end, after every request and job of `entries` was judged in order."""
    judge = Judge(load())
    roots = sorted((e for e in entries if isinstance(e, Request | Job)), key=lambda root: root.timestamp + root.duration_ms)
    ids = {root.id for root in roots}
    found: dict[str, Finding] = {}
    windows = Windows()
    ends: dict[Any, list[Finding]] = {}
    for root in roots:
        timeline = Timeline(root, [entry for entry in entries if entry.parent_request_id == root.id and entry is not root])
        found.update({finding.identity: finding for finding in judge.timeline(timeline)})
        window = windows.put(timeline, point_of(timeline), {}, again=False, now=0.0)
        if window is not None:
            ends[timeline.place] = judge.window(window)[0]
    for entry in entries:
        if isinstance(entry, Error) and entry.parent_request_id not in ids:
            found.update({finding.identity: finding for finding in judge.timeline(Timeline(None, [entry]))})
    for service in {window.service for window in windows.all()}:
        ends[service] = judge.service(windows.of(service))[0]
    assert judge.quarantined == []
    return [*found.values(), *itertools.chain.from_iterable(ends.values())]


def corpus() -> list[Case]:
    """Every function of the files in corpus/ is a case: it takes `make` and returns entries and what is expected."""
    cases = []
    for path in sorted((Path(__file__).parent / "corpus").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"corpus_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            if isinstance(function, FunctionType) and function.__module__ == module.__name__ and not name.startswith("_"):
                entries, expected = function(Make())
                cases.append(Case(f"{path.stem}:{name}", entries, [Expected(*each) for each in expected]))
    return cases


CORPUS = corpus()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CORPUS, ids=[case.name for case in CORPUS])


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def make_new() -> Callable[[], Make]:
    return Make


@pytest.fixture
def bench_settings() -> Callable[[dict[str, object]], Engine]:
    def engine(settings: dict[str, object]) -> Engine:
        return Engine(MemoryStore(), project="shop", settings=settings, on_issues=lambda _: None)  # type: ignore[arg-type]

    return engine


@pytest.fixture
def judge() -> Callable[[list[Entry]], list[Finding]]:
    return judged


@pytest.fixture
def cases() -> list[Case]:
    return CORPUS


@pytest.fixture(scope="session")
def new_bench() -> Callable[[], Awaitable[Bench]]:
    async def started() -> Bench:
        bench = Bench()
        await bench.engine.start()
        return bench

    return started


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.engine.start()
    yield bench
    await bench.engine.stop()
