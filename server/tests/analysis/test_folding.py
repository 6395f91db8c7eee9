"""Rollups: each request and job, and each event of it, exactly once, however it arrives and whenever the server dies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from brakit_server.analysis import backlog
from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.engine import Engine
from brakit_server.answers import Run
from brakit_server.records import KINDS
from brakit_server.stores import Batch, Resource
from brakit_server.stores.rollups import Asked
from brakit_server.stores.sqlite import SqliteStore

ALL = Asked(since=0, until=1e15, by=("endpoint", "run"))
NAMES = {kind: name for name, kind in KINDS.items()}


def facts(told: Any) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    return {
        (key.kind, key.endpoint, key.run): (
            sums.count,
            sums.errors,
            sums.refused,
            sums.queries,
            round(sums.query_ms, 6),
            sums.fetches,
            round(sums.fetch_ms, 6),
            round(sums.app_ms, 6),
            sums.durations.count,
            round(sums.durations.total, 6),
        )
        for key, sums in told.rows
        if sums.count
    }


def traffic(make: Any) -> list[Any]:
    entries = []
    for n in range(6):
        entries += [make.query(params=f"{n}{i}", owner=f"r{n}") for i in range(n)]
        entries += [make.fetch(owner=f"r{n}"), make.request(f"r{n}", route=f"/{n % 2}", status=(200, 404, 500)[n % 3], ms=60)]
    entries += [make.query(owner="j1"), make.query(owner="j1"), make.job("j1", status="failed")]
    entries += [make.request("s", messages_sent=3), make.request("h", route="/health", is_health_check=True)]
    return entries


EXPECTED = {
    ("request", "GET /0", "run1"): (3, 1, 1, 6, 6.0, 3, 15.0, 159.0, 3, 180.0),
    ("request", "GET /1", "run1"): (3, 1, 1, 9, 9.0, 3, 15.0, 156.0, 3, 180.0),
    ("job", "send_invoices", "run1"): (1, 1, 0, 2, 0.0, 0, 0.0, 100.0, 1, 100.0),
    ("request", "GET /orders", "run1"): (1, 0, 0, 0, 0.0, 0, 0.0, 0.0, 0, 0.0),
    ("noise", "GET /health", "run1"): (1, 0, 0, 0, 0.0, 0, 0.0, 100.0, 1, 100.0),
}


def placed(entries: list[Any]) -> list[Any]:
    """Owners begin before what they own, as they do when they are real."""
    starts: dict[str, float] = {}
    for entry in entries:
        if entry.parent_request_id:
            starts.setdefault(entry.parent_request_id, entry.timestamp)
    for entry in entries:
        if entry.id in starts:
            entry.timestamp = starts[entry.id] - 0.5
    return entries


async def test_before_and_after_it_is_saved_the_answer_is_the_same(bench: Any, make: Any) -> None:
    bench.engine.observe(bench.store.append(placed(traffic(make))))
    while bench.engine.behind or len(bench.engine._folding._pending) < 9:  # noqa: ASYNC110 (it has no event of its own)
        await asyncio.sleep(0.02)
    assert bench.store.cells == {}
    first = facts(await bench.engine.rollups(ALL))
    assert sum(each[0] for each in first.values()) == 9
    await bench.engine.settle()
    assert bench.engine._folding._pending == []
    assert bench.store.upto == len(bench.store.stored)
    assert facts(await bench.engine.rollups(ALL)) == first


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), pieces=st.integers(1, 8), crashes=st.integers(0, 4), small=st.booleans())
def test_exactly_once(
    seed: int, pieces: int, crashes: int, small: bool, make_new: Callable[[], Any], new_bench: Callable[[], Any]
) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        entries = placed(traffic(make_new()))
        bench = await new_bench()
        chance.shuffle(entries)
        size = len(entries) // pieces + 1
        parts = [entries[begin : begin + size] for begin in range(0, len(entries), size)]
        dead = set(chance.sample(range(len(parts)), min(crashes, len(parts))))
        for number, part in enumerate(parts):
            stored = bench.store.append(part)
            if number in dead:
                # Stored and answered, and then the server dies: before the engine had it, or before it judged or saved it.
                if chance.random() < 0.5:
                    bench.engine.observe(stored)
                    if chance.random() < 0.5:
                        while (held := bench.engine._backlog.take_due(float("inf"))) is not None:
                            bench.engine._take(held)
                await bench.die()
            else:
                bench.engine.observe(stored)
                if chance.random() < 0.5:
                    await bench.engine.settle()
        await bench.engine.settle()
        straight = await new_bench()
        await straight.see(*placed(traffic(make_new())))
        assert facts(await bench.engine.rollups(ALL)) == facts(await straight.engine.rollups(ALL))
        for each in (bench, straight):
            await each.engine.stop()

    before = backlog.JUDGED, backlog.WAITING
    backlog.JUDGED, backlog.WAITING = (1, 2) if small else before
    try:
        asyncio.run(run())
    finally:
        backlog.JUDGED, backlog.WAITING = before


async def test_figures(bench: Any, make: Any) -> None:
    bench.store.known["run1"] = Run(run="run1", service="shop", first_seen_at=0, last_seen_at=0, events=0, revision="abc")
    await bench.restart()
    await bench.see(*placed(traffic(make)))
    told = await bench.engine.rollups(ALL)
    assert {key.revision for key, _ in told.rows} == {"abc"}
    found = facts(told)
    assert found.keys() == EXPECTED.keys()
    for place, figures in EXPECTED.items():
        assert (place, found[place][:4], found[place][5], found[place][8:]) == (place, figures[:4], figures[5], figures[8:])


async def test_those_that_are_given_up_are_counted(bench: Any, make: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(backlog, "DUE", 10)
    for n in range(30):
        bench.engine.observe(bench.store.append([make.query(owner=f"r{n}"), make.request(f"r{n}")]))
    await bench.engine.settle()
    assert bench.engine.given_up == 20
    [(_, sums)] = (await bench.engine.rollups(ALL)).rows
    assert (sums.count, sums.queries) == (30, 30)


async def test_a_clock_that_is_wrong_costs_nothing(bench: Any, make: Any) -> None:
    bench.now = 1_760_000_000_000.0
    await bench.see(make.request("a", timestamp=-5.0), make.request("b", timestamp=9e15), make.request("c"))
    found = (await bench.engine.rollups(Asked(since=bench.now, until=bench.now, by=(), step=1))).rows
    assert [sums.count for _, sums in found] == [3]


async def test_clearing_forgets_what_was_not_saved(bench: Any, make: Any) -> None:
    bench.engine.observe(bench.store.append([make.request("a")]))
    await bench.engine.clear()
    await bench.engine.settle()
    assert (await bench.engine.rollups(ALL)).rows == []


async def test_over_the_real_store_and_its_end(tmp_path: Path, make: Any) -> None:
    def engine(store: SqliteStore) -> Engine:
        return Engine(store, project="shop", settings={}, on_issues=lambda _: None)

    def batch(entries: list[Any]) -> Batch:
        named = [(NAMES[type(entry)], entry) for entry in entries]
        return Batch(batch_id=None, resource=Resource(run="run1", service="shop"), entries=named, dropped={}, received_at=1.0)

    store = SqliteStore(tmp_path / "b.db", endpoint_of=key_of)
    entries = placed(traffic(make))
    first = engine(store)
    await first.start()
    first.observe(await store.append(batch(entries[:20])))
    await first.settle()
    first.observe(await store.append(batch(entries[20:])))
    # It dies: nothing of the rest is saved, and the next server finds it in the store.
    first._running = False
    for task in first._tasks:
        task.cancel()
    await asyncio.gather(*first._tasks, return_exceptions=True)
    await store.close()
    store = SqliteStore(tmp_path / "b.db", endpoint_of=key_of)
    second = engine(store)
    await second.start()
    await second.settle()
    found = facts(await second.rollups(ALL))
    assert {place: figures[:4] for place, figures in found.items()} == {place: figures[:4] for place, figures in EXPECTED.items()}
    assert await store.rollups_upto() == len(entries)
    await second.stop()
    await store.close()
