"""What a store answers to a filter is what `filters.Matcher` says of each of its records."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server.tests.filters.strategies import NOW, entries, trees

from brakit_server.filters import Matcher, parse
from brakit_server.records import KINDS, Entry
from brakit_server.stores import Batch, Resource, Store, Where
from brakit_server.stores.sqlite import SqliteStore

STORES = {"sqlite": SqliteStore}
LISTED = ("request", "db.query", "fetch", "log", "error", "job")


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = STORES[request.param](tmp_path / "events.db")
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


@settings(
    max_examples=600 if os.environ.get("BRAKIT_LONG") else 60,
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
        folder = tmp_path_factory.mktemp(name)
        opened: Store = open_store(folder / "events.db")
        try:
            resource = Resource(run="box:1:0", service="shop", host="box", pid=1)
            batch = Batch(batch_id=None, resource=resource, entries=[(kind, each) for each in kept], dropped={}, received_at=NOW)
            await opened.append(batch)
            runs = {run.run: run for run in await opened.runs()}
            listed = [each for each in kept if getattr(each, "transaction_mark", None) is None]
            for tree in filters:
                holds = Matcher(tree, time.time() * 1000, lambda run, runs=runs: runs.get(run or ""))  # type: ignore[misc]
                expected = [each.id for each in reversed(listed) if holds(kind, each)]
                page = await ask(opened, kind, Where(filter=tree))
                assert ([each.id for each in page.entries], page.total, page.complete) == (expected, len(expected), True), (
                    name,
                    tree,
                )
        finally:
            await opened.close()


def _whole(entry: Entry, id: str) -> Entry:
    """With an id of its own, as every stored record has, and a run that is known."""
    entry.id, entry.run = id, "box:1:0"
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
