"""The same statement with the same parameters, and repetitions that have a reason."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

USER = "SELECT id, name FROM users WHERE id = ?"


def _user(make: Any, params: str | None = "7", sql: str = USER, **more: Any) -> Any:
    query = make.query(sql, params, **{"table": "users", **more})
    make.now += more.get("ms", 1.0)
    return query


def twice(make: Any) -> Labelled:
    words = ("the same SELECT on users", "2 times", "app/orders.py:42", "flask.g")
    return [make.request(ms=100), _user(make), _user(make)], [("redundant-query", "info", words)]


def from_three_lines(make: Any) -> Labelled:
    lines = [("app/auth.py", 3, "user"), ("app/menu.py", 9, "menu"), ("app/cart.py", 1, "cart")]
    entries = [make.request(ms=100), *(_user(make, site=line) for line in lines)]
    return entries, [("redundant-query", "info", ("3 times", "app/auth.py:3", "app/menu.py:9", "app/cart.py:1"))]


def dear(make: Any) -> Labelled:
    return [make.request(ms=100), *(_user(make, ms=15.0) for _ in range(4))], [("redundant-query", "critical", ("45 ms",))]


def dear_enough_to_warn(make: Any) -> Labelled:
    return [make.request(ms=100), _user(make, ms=8.0), _user(make, ms=8.0)], [("redundant-query", "warning")]


def without_any_parameter(make: Any) -> Labelled:
    sql = "SELECT id FROM settings"
    entries = [make.request(ms=100), *(_user(make, None, sql, table="settings") for _ in range(3))]
    return entries, [("redundant-query", "info", ("settings",))]


def around_a_write_to_another_table(make: Any) -> Labelled:
    entries = [make.request(ms=100), _user(make), make.query("INSERT INTO visits (u) VALUES (?)", "7", table="visits")]
    return [*entries, _user(make)], [("redundant-query", "info")]


def in_a_job(make: Any) -> Labelled:
    entries = [make.job("j1"), _user(make, owner="j1"), _user(make, owner="j1")]
    return entries, [("redundant-query", "info", ("in one run",))]


def some_of_many(make: Any) -> Labelled:
    entries = [make.request(ms=100), _user(make, "1"), _user(make, "2"), _user(make, "1")]
    return entries, [("redundant-query", "info", ("2 times",))]


def other_parameters(make: Any) -> Labelled:
    return [make.request(ms=100), _user(make, "1"), _user(make, "2")], []


def after_a_write_to_it(make: Any) -> Labelled:
    entries = [make.request(ms=100), _user(make), make.query("UPDATE users SET name = ? WHERE id = ?", "7", table="users")]
    return [*entries, _user(make)], []


def after_a_write_to_a_joined_table(make: Any) -> Labelled:
    sql = "SELECT u.id FROM users u JOIN teams t ON t.id = u.team_id WHERE u.id = ?"
    entries = [make.request(ms=100), _user(make, sql=sql)]
    write = make.query("UPDATE teams SET name = ? WHERE id = ?", "1", table="teams")
    return [*entries, write, _user(make, sql=sql)], []


def after_a_write_to_a_table_with_a_schema(make: Any) -> Labelled:
    sql = "SELECT id, name FROM shop.users WHERE id = ?"
    entries = [make.request(ms=100), _user(make, sql=sql, table="shop.users")]
    write = make.query("UPDATE shop.users SET name = ? WHERE id = ?", "1", table="shop.users")
    return [*entries, write, _user(make, sql=sql, table="shop.users")], []


def after_a_write_to_a_table_with_an_odd_name(make: Any) -> Labelled:
    sql = 'SELECT id FROM "our users" WHERE id = ?'
    entries = [make.request(ms=100), _user(make, sql=sql, table="our users")]
    write = make.query('UPDATE "our users" SET name = ? WHERE id = ?', "1", table="our users")
    return [*entries, write, _user(make, sql=sql, table="our users")], []


def a_retry(make: Any) -> Labelled:
    return [make.request(ms=100), _user(make, error="OperationalError: lost"), _user(make)], []


def a_lock(make: Any) -> Labelled:
    sql = f"{USER} FOR UPDATE"
    return [make.request(ms=100), _user(make, sql=sql), _user(make, sql=sql)], []


def a_lock_that_is_tried(make: Any) -> Labelled:
    sql = "SELECT pg_try_advisory_lock(?)"
    return [make.request(ms=100), *(_user(make, sql=sql, table="") for _ in range(3))], []


def a_ping(make: Any) -> Labelled:
    return [make.request(ms=100), *(_user(make, None, "SELECT 1", table="") for _ in range(3))], []


def a_sequence(make: Any) -> Labelled:
    sql = "SELECT nextval('ids')"
    return [make.request(ms=100), *(_user(make, None, sql, table="") for _ in range(3))], []


def polling(make: Any) -> Labelled:
    entries = [make.job("j1", ms=9000)]
    for _ in range(5):
        entries.append(_user(make, owner="j1"))
        make.now += 1500
    return entries, []


def side_by_side(make: Any) -> Labelled:
    return [
        make.request(ms=100),
        make.query(USER, "7", table="users", ms=20.0),
        make.query(USER, "7", table="users", ms=20.0),
    ], []


def in_the_background(make: Any) -> Labelled:
    request = make.request(ms=10)
    make.now += 100
    return [request, _user(make), _user(make)], []


def parameters_untold(make: Any) -> Labelled:
    return [make.request(ms=100), _user(make, None), _user(make, None)], []
