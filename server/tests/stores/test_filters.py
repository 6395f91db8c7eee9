"""What a store answers to a filter is what `filters.Matcher` says of each of its records."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server.tests.filters.strategies import NOW, entries, trees

from brakit_server.filters import Matcher, Node, parse
from brakit_server.records import KINDS, Entry, Request
from brakit_server.stores import Batch, Resource, Store, Where
from brakit_server.stores.memory import MemoryStore
from brakit_server.stores.sqlite import SqliteStore, filtering, tail
from brakit_server.stores.sqlite.kinds import NUMBERS
from brakit_server.stores.sqlite.view import View

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "events.db"),
    "sqlite, every batch a segment": lambda folder: SqliteStore(folder / "events.db"),
}
LISTED = ("request", "db.query", "fetch", "log", "error", "job")


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    if "segment" in request.param:
        monkeypatch.setattr(tail, "FULL", 1)
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()


async def ask(store: Store, kind: str, where: Where) -> Any:
    lists = {
        "request": store.requests,
        "db.query": store.queries,
        "fetch": store.fetches,
        "log": store.logs,
        "error": store.errors,
        "job": store.jobs,
    }
    return await lists[kind](where)


@pytest.mark.timeout(900)
@settings(
    max_examples=400 if os.environ.get("BRAKIT_LONG") else 60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_random_filters_over_random_records(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same records and filters for every store."""
    kind = data.draw(st.sampled_from(LISTED))
    cls = KINDS[kind]
    drawn: list[Entry] = data.draw(st.lists(entries(kind), min_size=1, max_size=8))
    filters = data.draw(st.lists(trees(), min_size=1, max_size=4))
    kept = [_whole(each, f"{cls.__name__}{number}") for number, each in enumerate(drawn)]
    for name, open_store in STORES.items():
        with pytest.MonkeyPatch.context() as patched:
            if "segment" in name:
                patched.setattr(tail, "FULL", 1)
            opened = open_store(tmp_path_factory.mktemp("store"))
            try:
                await _answers_as_the_matcher(opened, kind, kept, filters, name)
            finally:
                await opened.close()


async def _answers_as_the_matcher(opened: Store, kind: str, kept: list[Entry], filters: list[Node], name: str) -> None:
    resource = Resource(run="box:1:0", service="shop", host="box", pid=1)
    for part in (kept[:3], kept[3:]):
        batch = Batch(batch_id=None, resource=resource, entries=[(kind, each) for each in part], dropped={}, received_at=NOW)
        await opened.append(batch)
    if isinstance(opened, SqliteStore) and tail.FULL == 1:
        await folded(opened, len([part for part in (kept[:3], kept[3:]) if part]))
    runs = {run.run: run for run in await opened.runs()}
    listed = [each for each in kept if getattr(each, "transaction_mark", None) is None]
    for tree in filters:
        holds = Matcher(tree, time.time() * 1000, lambda run: runs.get(run or ""))
        expected = [each.id for each in reversed(listed) if holds(kind, each)]
        page = await ask(opened, kind, Where(filter=tree))
        assert ([each.id for each in page.entries], page.total, page.complete) == (expected, len(expected), True), (name, tree)


async def folded(store: SqliteStore, number: int) -> list[int]:
    """The segments, once there are so many: they are made behind the answer to an append."""
    while True:
        found = await store.view(
            lambda view: [first for (first,) in view.connection.execute("SELECT id FROM segment ORDER BY id")]
        )
        if len(found) == number:
            return found
        await asyncio.sleep(0.005)


def _whole(entry: Entry, id: str) -> Entry:
    """With an id of its own, as every stored record has, and a run that is known."""
    entry.id, entry.run = id, "box:1:0"
    if isinstance(entry, Request):
        entry.started_at = entry.timestamp
    return entry


async def test_pages_of_a_filter(store: Store, make: Any, batch: Any) -> None:
    await store.append(batch(*(make.log(None, f"{'even' if number % 2 == 0 else 'odd'} {number}") for number in range(20))))
    where: dict[str, Any] = {"filter": parse("even"), "limit": 4}
    first = await store.logs(Where(**where))
    assert ([log.message for log in first.entries], first.total) == (["even 18", "even 16", "even 14", "even 12"], 10)
    second = await store.logs(Where(before=first.next, **where))
    assert ([log.message for log in second.entries], second.total) == (["even 10", "even 8", "even 6", "even 4"], 10)
    third = await store.logs(Where(before=second.next, **where))
    assert ([log.message for log in third.entries], third.total, third.next) == (["even 2", "even 0"], 10, None)
    assert [log.message for log in (await store.logs(Where(offset=3, **where))).entries][:2] == ["even 12", "even 10"]


async def test_a_filter_and_the_other_conditions_hold_together(store: Store, make: Any, batch: Any) -> None:
    await store.append(
        batch(make.log("r1", "a", level="warn"), make.log("r1", "b", level="warn"), make.log("r1", "a"), make.request("r1"))
    )
    page = await store.logs(Where(level="warn", filter=parse("a"), endpoint="GET /users/{id}"))
    assert [log.message for log in page.entries] == ["a"]


async def test_fields_of_the_process(store: Store, make: Any, batch: Any) -> None:
    await store.append(batch(make.log(None, "here", run="run1"), host="box", revision="abc"))
    await store.append(batch(make.log(None, "there", run="run2"), run="run2", host="other"))
    assert [log.message for log in (await store.logs(Where(filter=parse("host:box")))).entries] == ["here"]
    assert [log.message for log in (await store.logs(Where(filter=parse("-host:box")))).entries] == ["there"]
    assert [log.message for log in (await store.logs(Where(filter=parse("run:run2")))).entries] == ["there"]


async def test_groups_of_what_fits(store: Store, make: Any, batch: Any) -> None:
    queries = [
        make.query("a", "s1", table="users"),
        make.query("a", "s1", table="users", duration_ms=500.0),
        make.query("a", "s2", table="orders"),
    ]
    await store.append(batch(make.request("a"), *queries, make.error("a"), make.error("a", line=9, handled=True)))
    assert [(shape.shape_hash, shape.count) for shape in await store.query_shapes(Where(filter=parse("duration>100ms")))] == [
        ("s1", 1)
    ]
    assert [shape.shape_hash for shape in await store.query_shapes(Where(filter=parse("table:ord*")))] == ["s2"]
    assert [group.count for group in await store.error_groups(Where(filter=parse("handled:true")))] == [1]
    assert await store.error_groups(Where(filter=parse("handled:true x"))) == []


HOSTILE = ("'; DROP TABLE event; --", '" OR 1=1 --', "%", "_", "\\", "\0", "?1", ":x", "')) UNION SELECT json FROM run --")


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_looks_like_sql_is_text(store: Store, make: Any, batch: Any, text: str) -> None:
    await store.append(batch(make.log(None, "other", logger="other"), make.log(None, text, logger=text)))
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for asked in (quoted, f"logger:{quoted}", f"logger={quoted}", f"message={quoted}", f"fields.{quoted}:x OR logger:{quoted}"):
        page = await store.logs(Where(filter=parse(asked)))
        assert [log.message for log in page.entries] == [text], asked
    assert (await store.logs(Where())).total == 2


@pytest.mark.parametrize(
    ("kind", "asked", "segments"),
    [
        ("db.query", "table:t3", [3]),
        ("db.query", "table:T3", [3]),
        ("db.query", "table:*3", [3]),
        ("db.query", "table~/^t[23]$/", [2, 3]),
        ("db.query", "table:(t1 OR t4) -table:t9", [1, 4]),
        ("db.query", "table:t1 OR operation:INSERT", [0, 1]),
        ("db.query", "table:t1 rows>=0", [1]),
        ("db.query", "table:nothing", []),
        ("db.query", "-table:t1", [0, 1, 2, 3, 4, 5]),
        ("db.query", "duration>=400ms", [4, 5]),
        ("db.query", "duration>400ms", [4, 5]),
        ("db.query", "duration:150ms..250ms", [2, 3, 4, 5]),
        ("db.query", "has:error", [5]),
        ("db.query", "error:oops", [5]),
        ("db.query", "level:info", []),
        ("db.query", "kind:log", []),
        ("db.query", "request:r2", [2]),
        ("db.query", "host:h4", [4]),
        ("db.query", "service:s4 duration>200ms", [4]),
        ("db.query", "service:s1 duration>200ms", []),
        ("db.query", "at>=40s", [4, 5]),
        ("db.query", "until:4500ms", []),
        ("request", "status:4xx", [1]),
        ("request", "status>=404", [1, 2]),
        ("request", "route:/r3/*", [3]),
        ("request", "request:r4", [4]),
        ("request", "id:r4", [4]),
        ("request", "method:post", []),
        ("log", "level>=warn", [5]),
        ("log", "logger:a.*", [0, 1, 2, 3, 4, 5]),
        ("error", "handled:true", [3]),
        ("job", "status:failed", [2]),
    ],
)
async def test_segments_that_cannot_have_it_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, batch: Any, kind: str, asked: str, segments: list[int]
) -> None:
    monkeypatch.setattr(tail, "FULL", 1)
    store = SqliteStore(tmp_path / "events.db")
    statuses = (200, 404, 500, 200, 302, 200)
    for number in range(6):
        around = {"service": f"s{number}", "run": f"run{number}", "timestamp": NOW + number * 10_000}
        operation = "INSERT" if number == 0 else "SELECT"
        error = "Oops: no" if number == 5 else None
        query = make.query(
            f"r{number}", f"h{number}", table=f"t{number}", duration_ms=number * 100.0, operation=operation, error=error, **around
        )
        entries = [
            query,
            make.request(f"r{number}", status_code=statuses[number], route=f"/r{number}/{{id}}", **around),
            make.log(f"r{number}", level="error" if number == 5 else "info", logger=f"a.{number}", **around),
            make.error(f"r{number}", handled=number == 3, **around),
            make.job(f"j{number}", status="failed" if number == 2 else "succeeded", **around),
        ]
        await store.append(batch(*entries, service=f"s{number}", run=f"run{number}", host=f"h{number}"))
    tree = parse(asked.replace("40s", str(int(NOW) + 40_000)).replace("4500ms", str(int(NOW) - 1)))
    assert tree is not None

    def read(view: View) -> list[int]:
        sql, parameters = filtering.fragment(view, NUMBERS[kind], tree)
        return [first for (first,) in view.connection.execute("SELECT id FROM segment WHERE " + sql + " ORDER BY id", parameters)]

    every = await folded(store, 6)
    assert [every.index(first) for first in await store.view(read)] == segments
    await store.close()
