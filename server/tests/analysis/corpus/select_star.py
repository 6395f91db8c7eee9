"""Stars, and what only looks like them."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _asked(make: Any, sql: str, number: int = 2, **more: Any) -> list[Any]:
    entries = []
    for n in range(number):
        make.now += 1000
        entries += [make.request(f"r{n}", ms=40), make.query(sql, str(n), owner=f"r{n}", **more)]
    return entries


def all_columns(make: Any) -> Labelled:
    words = ("all columns of items", "app/orders.py:42", "2 times")
    return _asked(make, "SELECT * FROM items WHERE id = ?"), [("select-star", "info", words)]


def of_one_table_of_a_join(make: Any) -> Labelled:
    return _asked(make, "SELECT i.*, o.id FROM items i JOIN orders o ON o.id = i.order_id WHERE o.id = ?"), [
        ("select-star", "info")
    ]


def quoted(make: Any) -> Labelled:
    return _asked(make, 'SELECT "items".* FROM "items" WHERE id = ?'), [("select-star", "info")]


def distinct(make: Any) -> Labelled:
    return _asked(make, "select distinct * from items where id = ?"), [("select-star", "info")]


def behind_a_with(make: Any) -> Labelled:
    return _asked(make, "WITH x AS (SELECT id FROM items WHERE a = ?) SELECT * FROM x", operation="SELECT"), [
        ("select-star", "info")
    ]


def many_rows(make: Any) -> Labelled:
    found = [("high-rows", "warning"), ("select-star", "warning", ("1200 rows",))]
    return _asked(make, "SELECT * FROM items WHERE a > ?", row_count=1200), found


def behind_a_comment(make: Any) -> Labelled:
    return _asked(make, "/* list */ SELECT * FROM items WHERE id = ?", operation="SELECT"), [("select-star", "info")]


def counted(make: Any) -> Labelled:
    return _asked(make, "SELECT count(*) FROM items WHERE id = ?"), []


def only_inside(make: Any) -> Labelled:
    return _asked(make, "SELECT id FROM items WHERE EXISTS (SELECT * FROM orders WHERE id = ?)"), []


def inner_query(make: Any) -> Labelled:
    return _asked(make, "SELECT a, b FROM (SELECT * FROM items WHERE id = ?) AS x"), []


def catalogue(make: Any) -> Labelled:
    return _asked(make, "SELECT * FROM information_schema.tables WHERE table_name = ?"), []


def once(make: Any) -> Labelled:
    return _asked(make, "SELECT * FROM items WHERE id = ?", 1), []


def multiplied(make: Any) -> Labelled:
    return _asked(make, "SELECT price * amount FROM items WHERE id = ?"), []


def taken_out_of_the_code(make: Any) -> Labelled:
    before = _asked(make, "SELECT * FROM items WHERE id = ?", 3)
    after = []
    for n in range(25):
        make.now += 1000
        after += [make.request(f"n{n}", ms=40), make.query("SELECT id FROM items WHERE id = ?", str(n), owner=f"n{n}")]
    return [*before, *after], []
