"""Statements that are slower than themselves, and statements that are only slow."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

SEARCH = "SELECT id, name FROM products WHERE name LIKE ?"


def _asked(make: Any, times: list[float], sql: str = SEARCH, *, more_ms: float = 40.0, **more: Any) -> list[Any]:
    entries = []
    for n, ms in enumerate(times):
        make.now += 10_000
        entries.append(make.request(f"r{n}", ms=ms + more_ms))
        entries.append(make.query(sql, f"p{n}", owner=f"r{n}", ms=ms, **{"table": "products", **more}))
    return entries


def six_times_as_long(make: Any) -> Labelled:
    words = ("SELECT on products", "app/orders.py:42", "90 ms", "6.0 times as long as usual (15 ms", "EXPLAIN", "last 5 requests")
    return _asked(make, [15.0] * 24 + [90.0] * 5), [("slow-query", "critical", words)]


def within_a_long_request(make: Any) -> Labelled:
    return _asked(make, [15.0] * 24 + [90.0] * 5, more_ms=700.0), [("slow", "warning"), ("slow-query", "warning")]


def of_a_job(make: Any) -> Labelled:
    entries = []
    for n in range(30):
        make.now += 100_000
        entries.append(make.job(f"j{n}", ms=300.0))
        entries.append(make.query(SEARCH, f"p{n}", owner=f"j{n}", ms=15.0 if n < 25 else 95.0, table="products"))
    return entries, [("slow-query", "critical", ("send_invoices", "runs"))]


def with_a_usual_spread(make: Any) -> Labelled:
    times = [10.0, 14.0, 12.0, 11.0, 17.0, 13.0] * 4
    return _asked(make, [*times, 70.0, 80.0, 75.0, 69.0, 90.0], more_ms=200.0), [("slow-query", "critical", ("75 ms",))]


def rows_have_grown(make: Any) -> Labelled:
    before = _asked(make, [15.0] * 24, more_ms=300.0, row_count=20)
    after = []
    for n in range(5):
        make.now += 10_000
        after.append(make.request(f"late{n}", ms=360.0))
        after.append(make.query(SEARCH, f"x{n}", owner=f"late{n}", ms=60.0, row_count=90, table="products"))
    return [*before, *after], [("slow-query", "warning", ("up to 90 rows",))]


def an_update_that_waits(make: Any) -> Labelled:
    sql = "UPDATE products SET stock = ? WHERE id = ?"
    entries = _asked(make, [2.0] * 30 + [400.0] * 5, sql, more_ms=10.0)
    return entries, [("slow-query", "critical", ("UPDATE on products", "another transaction holds"))]


def one_fast_execution_in_between(make: Any) -> Labelled:
    found = [("slow-query", "critical", ("80 ms",))]
    return _asked(make, [10.0] * 26 + [80.0, 80.0, 12.0, 80.0, 80.0], more_ms=150.0), found


def always_slow(make: Any) -> Labelled:
    return _asked(make, [90.0] * 30), []


def below_the_floor(make: Any) -> Labelled:
    return _asked(make, [4.0] * 24 + [40.0] * 5), []


def too_few(make: Any) -> Labelled:
    return _asked(make, [15.0] * 8 + [90.0] * 5, more_ms=300.0), []


def two_outliers(make: Any) -> Labelled:
    return _asked(make, [15.0] * 28 + [200.0, 220.0], more_ms=300.0), []


def wide_spread(make: Any) -> Labelled:
    return _asked(make, [20.0, 90.0, 30.0, 140.0, 60.0, 25.0] * 5 + [130.0] * 5, more_ms=300.0), []


def fast_again(make: Any) -> Labelled:
    return _asked(make, [15.0] * 24 + [90.0] * 5 + [15.0] * 5, more_ms=300.0), []
