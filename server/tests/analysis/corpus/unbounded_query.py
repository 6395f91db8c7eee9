"""Results that grow, and results that are large once and for all."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

ALL = "SELECT id, name FROM items WHERE shop = ?"


def _asked(make: Any, rows: list[int | None], sql: str = ALL, *, params: str | None = "same", **more: Any) -> list[Any]:
    entries = []
    for n, count in enumerate(rows):
        make.now += 10_000
        entries += [make.request(f"r{n}", ms=60), make.query(sql, params, owner=f"r{n}", row_count=count, **more)]
    return entries


def grows_with_each_request(make: Any) -> Labelled:
    words = ("rows of items", "app/orders.py:42", "120 at first and are 123 now", "LIMIT")
    return _asked(make, [120, 121, 122, 123]), [("unbounded-query", "info", words)]


def grows_now_and_then(make: Any) -> Labelled:
    return _asked(make, [60, 60, 80, 80, 110, 110, 140]), [("unbounded-query", "info", ("60 at first and are 140",))]


def without_a_condition(make: Any) -> Labelled:
    return _asked(make, [130, 140, 150, 160], "SELECT id, name FROM items", params=None), [("unbounded-query", "info")]


def the_very_bound(make: Any) -> Labelled:
    return _asked(make, [97, 98, 99, 100]), [("unbounded-query", "info")]


def ordered_and_joined(make: Any) -> Labelled:
    sql = "SELECT i.id, o.name FROM items i JOIN orders o ON o.id = i.order_id WHERE o.shop = ? ORDER BY i.id"
    return _asked(make, [200, 210, 220, 230], sql), [("unbounded-query", "info")]


def one_of_two_shops(make: Any) -> Labelled:
    entries = []
    for n in range(5):
        make.now += 10_000
        entries += [make.request(f"r{n}", ms=60), make.query(ALL, "small", owner=f"r{n}", row_count=70)]
        make.now += 10_000
        entries += [make.request(f"s{n}", ms=60), make.query(ALL, "large", owner=f"s{n}", row_count=300 + n)]
    return entries, [("unbounded-query", "info", ("304 now",))]


def over_two_runs(make: Any) -> Labelled:
    first = _asked(make, [150, 160], params="run1")
    return [*first, *_again(make, [170, 175, 180, 190])], [("unbounded-query", "info", ("170 at first and are 190",))]


def keeps_its_size(make: Any) -> Labelled:
    return _asked(make, [195] * 9), []


def a_queue(make: Any) -> Labelled:
    return _asked(make, [120, 150, 180, 90, 130, 170, 200]), []


def pages(make: Any) -> Labelled:
    return _asked(make, [100, 110, 120, 130], f"{ALL} LIMIT ?"), []


def a_list_of_values(make: Any) -> Labelled:
    return _asked(make, [100, 110, 120, 130], "SELECT id, name FROM items WHERE id IN (?, ?, ?)"), []


def other_parameters_each_time(make: Any) -> Labelled:
    entries = []
    for n in range(9):
        make.now += 10_000
        entries += [make.request(f"r{n}", ms=60), make.query(ALL, f"p{n}", owner=f"r{n}", row_count=100 + n)]
    return entries, []


def small(make: Any) -> Labelled:
    return _asked(make, [60, 62, 64, 66]), []


def large(make: Any) -> Labelled:
    return _asked(make, [700, 710, 720, 730]), [("high-rows", "warning")]


def parameters_untold(make: Any) -> Labelled:
    return _asked(make, [100, 110, 120, 130], params=None), []


def an_export(make: Any) -> Labelled:
    entries = []
    for n in range(5):
        make.now += 10_000
        entries += [make.job(f"j{n}"), make.query(ALL, "same", owner=f"j{n}", row_count=100 + n)]
    return entries, []


def once_more(make: Any) -> Labelled:
    return _asked(make, [120, 120, 121, 121]), []


def _again(make: Any, rows: list[int]) -> list[Any]:
    entries = []
    for n, count in enumerate(rows):
        make.now += 10_000
        entries += [make.request(f"b{n}", ms=60, run="run2"), make.query(ALL, "run2", owner=f"b{n}", row_count=count, run="run2")]
    return entries
