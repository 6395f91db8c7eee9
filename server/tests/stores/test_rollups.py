"""Rollups: what is saved is added up, by time, endpoint and process, and goes with age."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit_server.stores import Store
from brakit_server.stores.memory import MemoryStore
from brakit_server.stores.rollups import MINUTE_MS, Asked, Rollup, RollupKey, endpoint_id
from brakit_server.stores.sqlite import SqliteStore, rollups
from brakit_server.stores.sqlite.rollups import LEVELS, stretches

NOW_S = 1_790_000_000.0
MINUTE = int(NOW_S // 60)
DAY = 1440


def key(minute: int = MINUTE, endpoint: str = "GET /a", run: str = "r1", **more: Any) -> RollupKey:
    fields: dict[str, Any] = {"kind": "request", "service": "shop", "revision": "abc", **more}
    return RollupKey(endpoint=endpoint, run=run, minute=minute, **fields)


def cell(*times: float, errors: int = 0) -> Rollup:
    made = Rollup(count=len(times), errors=errors, queries=2 * len(times), query_ms=sum(times) / 2, size_bytes=10)
    for time in times:
        made.durations.add(time)
    return made


def asked(minutes: int, **more: Any) -> Asked:
    return Asked(since=NOW_S * 1000 - minutes * MINUTE_MS, until=NOW_S * 1000, **more)


class Clock:
    def __init__(self) -> None:
        self.now = NOW_S

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "b.db", clock=clock)
    yield made
    await made.close()


@pytest.fixture(params=["sqlite", "memory"])
async def either(request: pytest.FixtureRequest, store: SqliteStore, clock: Clock) -> Store:
    """What any store must do."""
    return store if request.param == "sqlite" else MemoryStore(clock=clock)


async def test_what_is_saved_twice_is_added(either: Store) -> None:
    await either.save_rollups([(key(), cell(10, 20, errors=1)), (key(run="r2"), cell(30))], 7)
    await either.save_rollups([(key(), cell(40))], 9)
    told = await either.rollups(asked(5))
    [(where, sums)] = told.rows
    assert (told.upto, await either.rollups_upto()) == (9, 9)
    assert (where.kind, where.service, where.endpoint, where.run) == ("request", "shop", "GET /a", "")
    assert (sums.count, sums.errors, sums.queries, sums.query_ms, sums.size_bytes) == (4, 1, 8, 50, 30)
    assert (sums.durations.count, sums.durations.total, sums.durations.largest) == (4, 100, 40)
    assert sums.durations.quantile(0.5) == pytest.approx(20, rel=0.021)
    by_run = await either.rollups(asked(5, by=("endpoint", "run")))
    assert {where.run: (where.revision, sums.count) for where, sums in by_run.rows} == {"r1": ("abc", 3), "r2": ("abc", 1)}


async def test_what_changes_a_figure_leaves_the_durations(either: Store) -> None:
    await either.save_rollups([(key(), cell(10, 20))], 1)
    await either.save_rollups([(key(), Rollup(queries=5, query_ms=-1.0))], 2)
    [(_, sums)] = (await either.rollups(asked(5))).rows
    assert (sums.count, sums.queries, sums.query_ms, sums.durations.count) == (2, 9, 14, 2)


async def test_conditions(either: Store) -> None:
    cells = [
        (key(), cell(1)),
        (key(endpoint="GET /b", service="pay"), cell(1)),
        (key(endpoint="send", kind="job", service=None), cell(1)),
        (key(endpoint="GET /a", run="r2", revision=None), cell(1)),
    ]
    await either.save_rollups(cells, 1)

    async def found(**more: Any) -> list[str]:
        return sorted(where.endpoint for where, _ in (await either.rollups(asked(5, by=("endpoint", "run"), **more))).rows)

    assert await found() == ["GET /a", "GET /a", "GET /b", "send"]
    assert await found(service="pay") == ["GET /b"]
    assert await found(kind="job") == ["send"]
    assert await found(run="r2") == await found(endpoint="GET /a", run="r2") == ["GET /a"]
    assert await found(revision="abc") == ["GET /a", "GET /b", "send"]
    assert await found(id=endpoint_id("request", "pay", "GET /b")) == ["GET /b"]
    assert await found(id="0" * 16) == []
    assert (await either.rollups(Asked(since=NOW_S * 1000 + MINUTE_MS, until=NOW_S * 1000 + 2 * MINUTE_MS))).rows == []


async def test_by_minute_and_by_hour(either: Store) -> None:
    await either.save_rollups([(key(MINUTE - n), cell(n + 1)) for n in range(300)], 1)
    minutes = (await either.rollups(asked(9, by=(), step=1))).rows
    assert sorted(where.minute for where, _ in minutes) == list(range(MINUTE - 9, MINUTE + 1))
    hours = (await either.rollups(asked(180, by=(), step=60))).rows
    assert all(where.minute % 60 == 0 for where, _ in hours)
    first = (MINUTE - 180) // 60 * 60
    assert sum(sums.count for _, sums in hours) == MINUTE - first + 1


@given(first=st.integers(0, 5_000), length=st.integers(0, 5_000), step=st.sampled_from([0, 1, 2, 10, 30, 60, 180]))
def test_stretches_are_all_minutes_once_and_few(first: int, length: int, step: int) -> None:
    found = stretches(first, first + length, step)
    covered = [minute for stretch in found for minute in range(stretch.start, stretch.end)]
    assert covered == list(range(first, first + length))
    assert all(stretch.start % LEVELS[stretch.level] == stretch.end % LEVELS[stretch.level] == 0 for stretch in found)
    assert len(found) <= 2 * len(LEVELS) - 1
    assert all(step % LEVELS[stretch.level] == 0 for stretch in found)


@given(
    cells=st.lists(
        st.tuples(st.integers(0, 3 * DAY), st.sampled_from("ab"), st.sampled_from(["r1", "r2"]), st.floats(0.1, 1e4)), max_size=30
    ),
    since=st.integers(0, 3 * DAY),
    length=st.integers(0, 3 * DAY),
)
def test_any_range_is_the_sum_of_its_minutes(cells: list[Any], since: int, length: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
    for statement in rollups.ROLLUPS:
        connection.execute(statement)
    for number, (minute, endpoint, run, ms) in enumerate(cells):
        rollups.save(connection, [(key(MINUTE - minute, endpoint, run), cell(ms))], number)
    where = Asked(since=(MINUTE - since) * MINUTE_MS, until=(MINUTE - since + length) * MINUTE_MS, by=("endpoint", "run"))
    told = rollups.tell(connection, where, NOW_S * 1000)
    begin = told.since / MINUTE_MS
    assert MINUTE - since - 60 < begin <= MINUTE - since
    expected: dict[tuple[str, str], list[float]] = {}
    for minute, endpoint, run, ms in cells:
        if begin <= MINUTE - minute <= MINUTE - since + length:
            expected.setdefault((endpoint, run), []).append(ms)
    assert {(where.endpoint, where.run): sums.count for where, sums in told.rows} == {
        place: len(times) for place, times in expected.items()
    }
    for where_, sums in told.rows:
        times = expected[where_.endpoint, where_.run]
        assert sums.durations.largest == max(times)
        assert sums.durations.quantile(1.0) == pytest.approx(max(times), rel=0.021)
    connection.close()


async def test_age(store: SqliteStore, clock: Clock) -> None:
    old, new = MINUTE - 8 * DAY, MINUTE - 3 * DAY
    await store.save_rollups([(key(old, "GET /old", run="gone"), cell(1)), (key(new), cell(1))], 1)
    await store.expire()
    found = await store.rollups(asked(10 * DAY, by=("endpoint", "run")))
    assert [(where.endpoint, where.run) for where, _ in found.rows] == [("GET /a", "r1")]
    clock.now += 5 * 86_400
    await store.expire()
    assert (await store.rollups(asked(10 * DAY))).rows == []


async def test_minutes_become_hours_where_they_are_too_many(
    store: SqliteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "MINUTES_KEPT", 100)
    await store.save_rollups([(key(MINUTE - n * 20), cell(n + 1)) for n in range(150)], 1)
    before = (await store.rollups(asked(3 * DAY))).rows
    await store.expire()
    assert (await store.rollups(asked(3 * DAY))).rows == before
    minutes = (await store.rollups(asked(3 * DAY, by=(), step=1))).rows
    assert MINUTE - DAY - 120 < min(where.minute for where, _ in minutes) <= MINUTE - DAY


async def test_endpoints_and_processes_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "ENDPOINTS", 3)
    monkeypatch.setattr(rollups, "SOURCES", 3)
    await store.save_rollups([(key(endpoint=f"GET /{n}", run=f"r{n}"), cell(1)) for n in range(20)], 1)
    found = (await store.rollups(asked(5, by=("endpoint", "run")))).rows
    assert len(found) == 4
    assert sum(sums.count for _, sums in found) == 20
    assert [(sums.count, where.run) for where, sums in found if where.endpoint == rollups.OTHERS] == [(17, rollups.OTHERS)]


async def test_clearing_forgets_them(either: Store) -> None:
    await either.save_rollups([(key(), cell(1))], 5)
    await either.clear()
    assert (await either.rollups(asked(5))).rows == []
    assert await either.rollups_upto() == await either.last_seq()
