"""Large results, and those that are meant."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

ALL = "SELECT id, name FROM items WHERE shop = ?"


def _asked(make: Any, rows: int | None, number: int = 2, sql: str = ALL, **more: Any) -> list[Any]:
    entries = []
    for n in range(number):
        make.now += 1000
        entries += [make.request(f"r{n}", ms=90), make.query(sql, str(n), owner=f"r{n}", row_count=rows, **more)]
    return entries


def without_bound(make: Any) -> Labelled:
    words = ("800 rows of items", "app/orders.py:42", "Nothing bounds", "yield_per")
    return _asked(make, 800), [("high-rows", "warning", words)]


def very_many(make: Any) -> Labelled:
    return _asked(make, 20_000), [("high-rows", "critical", ("20000 rows",))]


def a_large_page(make: Any) -> Labelled:
    return _asked(make, 1000, sql=f"{ALL} LIMIT ?"), [("high-rows", "info")]


def a_very_large_page(make: Any) -> Labelled:
    return _asked(make, 50_000, sql=f"{ALL} LIMIT ?"), [("high-rows", "info")]


def the_very_bound(make: Any) -> Labelled:
    return _asked(make, 500), [("high-rows", "warning")]


def sometimes(make: Any) -> Labelled:
    return [*_asked(make, 3), *_more(make, 900)], [("high-rows", "warning", ("900 rows",))]


def from_two_lines(make: Any) -> Labelled:
    users = "SELECT id FROM users WHERE shop = ?"
    entries = _asked(make, 700)
    entries += [make.query(users, "x", owner=f"r{n}", row_count=900, table="users") for n in range(2)]
    return entries, [("high-rows", "warning", ("of items",)), ("high-rows", "warning", ("of users",))]


def few(make: Any) -> Labelled:
    return _asked(make, 200), []


def once(make: Any) -> Labelled:
    return _asked(make, 5000, 1), []


def unknown(make: Any) -> Labelled:
    return _asked(make, None), []


def an_export(make: Any) -> Labelled:
    entries = []
    for n in range(3):
        make.now += 1000
        entries += [make.job(f"j{n}"), make.query(ALL, str(n), owner=f"j{n}", row_count=50_000)]
    return entries, []


def rows_changed(make: Any) -> Labelled:
    return _asked(make, 5000, sql="UPDATE items SET seen = ? WHERE shop = ?"), []


def small_by_now(make: Any) -> Labelled:
    before = _asked(make, 3000, 3)
    after = []
    for n in range(25):
        make.now += 1000
        after += [make.request(f"n{n}", ms=90), make.query(ALL, f"n{n}", owner=f"n{n}", row_count=40)]
    return [*before, *after], []


def _more(make: Any, rows: int) -> list[Any]:
    make.now += 1000
    return [make.request("last", ms=90), make.query(ALL, "x", owner="last", row_count=rows)]
