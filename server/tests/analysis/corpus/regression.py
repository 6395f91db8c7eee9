"""Endpoints that got worse with a change, and those that only seem to have."""

from __future__ import annotations

import random
from typing import Any

from brakit_server.records import Request

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _run(make: Any, run: str, durations: list[float], queries: int | list[int] = 0, **more: Any) -> list[Any]:
    entries: list[Any] = []
    for n, ms in enumerate(durations):
        make.now += 10_000
        request = make.request(f"{run}-{n}", ms=ms, run=run, **more)
        entries.append(request)
        count = queries if isinstance(queries, int) else queries[n % len(queries)]
        for k in range(count):
            table = f"t{k}"
            sql = f"SELECT id FROM {table} WHERE id = ?"
            at = request.timestamp + 1 + 2 * k
            site = ("app/orders.py", 10 + k, f"load_{k}")
            entries.append(make.query(sql, "p", owner=request.id, run=run, timestamp=at, table=table, site=site))
    return entries


def _around(seed: int, middle: float, count: int, spread: float = 0.1) -> list[float]:
    """Durations with a usual spread, the first of a run at ten times that."""
    chance = random.Random(seed)
    return [10 * middle] + [middle * chance.uniform(1 - spread, 1 + spread) for _ in range(count)]


def slower_than_the_run_before(make: Any) -> Labelled:
    entries = _run(make, "a", _around(1, 100, 10)) + _run(make, "b", _around(2, 180, 10))
    return entries, [("regression", "warning", ("Slower than before", "in an earlier run", "10 and 10 requests"))]


def slower_with_eight_each(make: Any) -> Labelled:
    entries = _run(make, "a", _around(3, 120, 8)) + _run(make, "b", _around(4, 220, 8))
    return entries, [("regression", "warning", ("8 and 8 requests",))]


def still_slower_after_another_restart(make: Any) -> Labelled:
    entries = _run(make, "a", _around(5, 100, 9)) + _run(make, "b", _around(6, 180, 9)) + _run(make, "c", _around(7, 180, 9))
    return entries, [("regression", "warning", ("in an earlier run",))]


def far_slower(make: Any) -> Labelled:
    entries = _run(make, "a", _around(8, 20, 10)) + _run(make, "b", _around(9, 400, 10))
    return entries, [("regression", "critical"), ("slow", "warning")]


def a_slow_tail(make: Any) -> Labelled:
    fast = _around(10, 100, 12)
    tail = [ms * (2.5 if n % 2 else 1.15) for n, ms in enumerate(_around(11, 100, 12))]
    return _run(make, "a", fast) + _run(make, "b", tail), [("regression", "warning", ("95 %",))]


def more_statements(make: Any) -> Labelled:
    entries = _run(make, "a", [50.0] * 3, 4) + _run(make, "b", [50.0] * 3, 9)
    return entries, [("regression", "info", ("More statements", "runs 9 statements", "it was 4"))]


def many_more_statements(make: Any) -> Labelled:
    entries = _run(make, "a", [90.0] * 4, 2) + _run(make, "b", [90.0] * 4, 14)
    return entries, [("regression", "warning", ("runs 14 statements", "it was 2"))]


def statements_where_there_were_none(make: Any) -> Labelled:
    return _run(make, "a", [50.0] * 3) + _run(make, "b", [50.0] * 3, 3), [("regression", "info", ("it was 0",))]


def both(make: Any) -> Labelled:
    entries = _run(make, "a", _around(12, 100, 10), 2) + _run(make, "b", _around(13, 190, 10), 8)
    return entries, [("regression", "warning", ("Slower",)), ("regression", "warning", ("runs 8 statements",))]


def not_what_chance_explains(make: Any) -> Labelled:
    return _run(make, "a", _around(14, 100, 20, 0.6)) + _run(make, "b", _around(15, 105, 20, 0.6)), []


def not_a_little(make: Any) -> Labelled:
    return _run(make, "a", _around(16, 100, 20)) + _run(make, "b", _around(17, 125, 20)), []


def not_milliseconds(make: Any) -> Labelled:
    return _run(make, "a", _around(18, 4, 20)) + _run(make, "b", _around(19, 12, 20)), []


def not_with_seven(make: Any) -> Labelled:
    return _run(make, "a", _around(20, 100, 10)) + _run(make, "b", _around(21, 180, 7)), []


def not_one_slow_request(make: Any) -> Labelled:
    return _run(make, "a", _around(22, 100, 10)) + _run(make, "b", [*_around(23, 100, 9), 900.0]), []


def not_what_got_faster(make: Any) -> Labelled:
    return _run(make, "a", _around(24, 200, 10), 9) + _run(make, "b", _around(25, 100, 10), 3), []


def not_numbers_that_vary(make: Any) -> Labelled:
    return _run(make, "a", [50.0] * 8, [1, 2, 8, 3]) + _run(make, "b", [50.0] * 8, [7, 2, 1, 8]), []


def not_one_statement_more(make: Any) -> Labelled:
    return _run(make, "a", [50.0] * 5, 3) + _run(make, "b", [50.0] * 5, 4), []


def not_processes_side_by_side(make: Any) -> Labelled:
    both = _run(make, "a", [80.0] * 10, 2) + _run(make, "b", [140.0] * 10, 8)
    for n, entry in enumerate(entry for entry in both if isinstance(entry, Request)):
        # The two take turns.
        entry.timestamp = entry.started_at = 1_760_000_000_000.0 + 1000 * (n % 10) + (500 if n >= 10 else 0)
    return both, []
