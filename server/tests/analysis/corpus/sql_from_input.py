"""Statements that hold what the client sent, as the sender tells."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _ran(make: Any, sql: str, **more: Any) -> list[Any]:
    return [make.request(), make.query(sql, **{"literals_from_request": True, **more})]


def a_number(make: Any) -> Labelled:
    return _ran(make, "SELECT name FROM items WHERE id = ?"), [
        ("sql-from-input", "critical", ("GET /orders", "app/orders.py:42", "placeholder"))
    ]


def a_string(make: Any) -> Labelled:
    return _ran(make, "SELECT id FROM items WHERE name LIKE '****'"), [("sql-from-input", "critical", ("items",))]


def an_update(make: Any) -> Labelled:
    return _ran(make, "UPDATE items SET name = '****' WHERE id = ?"), [("sql-from-input", "critical", ("UPDATE on items",))]


def a_delete(make: Any) -> Labelled:
    return _ran(make, "DELETE FROM items WHERE name = '****'"), [("sql-from-input", "critical")]


def by_asyncpg(make: Any) -> Labelled:
    return _ran(make, "SELECT id FROM items WHERE name = '****'", source="asyncpg"), [("sql-from-input", "critical")]


def with_text_of_sqlalchemy(make: Any) -> Labelled:
    return _ran(make, "SELECT id FROM items WHERE name = '****' AND b = ?"), [("sql-from-input", "critical")]


def twice_in_one_request_is_one(make: Any) -> Labelled:
    sql = "SELECT id FROM items WHERE name = '****'"
    return [*_ran(make, sql), make.query(sql, literals_from_request=True, ms=0.1)], [("sql-from-input", "critical")]


def with_placeholders(make: Any) -> Labelled:
    return [make.request(), make.query("SELECT name FROM items WHERE id = ?", "1")], []


def with_a_literal_of_the_code(make: Any) -> Labelled:
    return [make.request(), make.query("SELECT name FROM items WHERE status = '****'", "1", literals_from_request=False)], []


def a_health_check(make: Any) -> Labelled:
    return [make.request(is_health_check=True), make.query("SELECT ?", literals_from_request=None)], []
