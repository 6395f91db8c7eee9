"""Many statements, and one that is many."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _page(make: Any, statements: int, number: int = 4, *, ms: float = 1.0, took: float = 200.0, **more: Any) -> list[Any]:
    entries: list[Any] = []
    for n in range(number):
        make.now += 10_000
        entries.append(make.request(f"r{n}", ms=took, **more))
        for table in (f"table{k}" for k in range(statements)):
            entries += [make.query(f"SELECT id FROM {table} WHERE a = ?", "1", owner=f"r{n}", ms=ms, table=table)]
    return entries


def thirty_statements(make: Any) -> Labelled:
    return _page(make, 30), [("query-heavy", "info", ("30 statements a request", "30 ms", "SELECT table"))]


def the_very_bound(make: Any) -> Labelled:
    return _page(make, 25), [("query-heavy", "info")]


def most_of_the_time(make: Any) -> Labelled:
    return _page(make, 40, ms=0.9, took=45.0), [("query-heavy", "warning", ("80 %",))]


def three_requests(make: Any) -> Labelled:
    return _page(make, 30, 3), [("query-heavy", "info")]


def names_the_line(make: Any) -> Labelled:
    return _page(make, 30), [("query-heavy", "info", ("app/orders.py:42",))]


def of_a_post(make: Any) -> Labelled:
    return _page(make, 30, method="POST"), [("query-heavy", "info", ("POST /orders",))]


def usually(make: Any) -> Labelled:
    few = [make.request("x", ms=40.0), make.query("SELECT id FROM table1 WHERE a = ?", "1", owner="x", table="table1")]
    return [*few, *_page(make, 30)], [("query-heavy", "info")]


def twenty(make: Any) -> Labelled:
    return _page(make, 20), []


def two_requests(make: Any) -> Labelled:
    return _page(make, 30, 2), []


def once_only(make: Any) -> Labelled:
    entries = _page(make, 5, 6)
    return [*entries, *_page(make, 30, 1)], []


def a_loop(make: Any) -> Labelled:
    entries: list[Any] = []
    for n in range(4):
        make.now += 10_000
        entries.append(make.request(f"r{n}", ms=400))
        entries += [make.query("SELECT id FROM items WHERE a = ?", str(k), owner=f"r{n}", ms=0.01) for k in range(10)]
    return entries, [("n1", "info")]


def a_job(make: Any) -> Labelled:
    entries: list[Any] = []
    for n in range(4):
        make.now += 10_000
        entries.append(make.job(f"j{n}"))
        entries += [make.query(f"SELECT id FROM table{k} WHERE a = ?", "1", owner=f"j{n}") for k in range(40)]
    return entries, []
