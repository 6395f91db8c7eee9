"""One statement for several values from several lines, and what has another name or a reason."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

USER = "SELECT id, name FROM users WHERE id = ?"


def _lines(number: int) -> list[tuple[str, int, str]]:
    return [(f"app/part{n}.py", 10 + n, f"part{n}") for n in range(number)]


def _user(make: Any, n: int, line: tuple[str, int, str] | None, sql: str = USER, **more: Any) -> Any:
    return make.query(sql, f"u{n}", site=line, **{"table": "users", **more})


def _users(make: Any, number: int, sql: str = USER, **more: Any) -> list[Any]:
    return [_user(make, n, line, sql, **more) for n, line in enumerate(_lines(number))]


def from_four_lines(make: Any) -> Labelled:
    words = ("SELECT on users", "4 different values from 4 lines", "app/part0.py:10", "app/part3.py:13", "WHERE … IN")
    return [make.request(), *_users(make, 4)], [("similar-query", "info", words)]


def from_nine_lines(make: Any) -> Labelled:
    return [make.request(), *_users(make, 9)], [("similar-query", "info", ("9 lines",))]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1"), *_users(make, 5, owner="j1")], [("similar-query", "info", ("in one run",))]


def dear_and_still_info(make: Any) -> Labelled:
    entries = [make.request(ms=400)]
    for n, line in enumerate(_lines(5)):
        entries.append(_user(make, n, line, ms=30.0))
        make.now += 40
    return entries, [("similar-query", "info", ("150 ms",))]


def beside_a_write_to_another_table(make: Any) -> Labelled:
    write = make.query("INSERT INTO visits (u) VALUES (?)", "x", table="visits")
    first, *others = _users(make, 4)
    return [make.request(), first, write, *others], [("similar-query", "info")]


def with_a_second_condition(make: Any) -> Labelled:
    sql = "SELECT id, name FROM users WHERE id = ? AND deleted = ?"
    return [make.request(), *_users(make, 4, sql)], [("similar-query", "info")]


def one_of_the_lines_twice_the_same(make: Any) -> Labelled:
    entries = [make.request(), *_users(make, 5)]
    return [*entries, _user(make, 0, _lines(5)[0])], [("redundant-query", "info"), ("similar-query", "info", ("4 lines",))]


def three_lines(make: Any) -> Labelled:
    return [make.request(), *_users(make, 3)], []


def the_same_values(make: Any) -> Labelled:
    entries = [make.request()]
    for line in _lines(5):
        entries.append(_user(make, 0, line))
        make.now += 1
    return entries, [("redundant-query", "info")]


def a_loop(make: Any) -> Labelled:
    line = _lines(1)[0]
    return [make.request(), *(_user(make, n, line) for n in range(5))], [("n1", "info")]


def no_key(make: Any) -> Labelled:
    return [make.request(), *_users(make, 5, "SELECT id FROM users WHERE age > ?")], []


def lists(make: Any) -> Labelled:
    return [make.request(), *_users(make, 5, "SELECT id FROM users WHERE team = ? AND id IN (?, ?, ?)")], []


def locks(make: Any) -> Labelled:
    return [make.request(), *_users(make, 5, f"{USER} FOR UPDATE")], []


def side_by_side(make: Any) -> Labelled:
    return [make.request(), *_users(make, 5, ms=30.0)], []


def around_a_write(make: Any) -> Labelled:
    first, second = _users(make, 2)
    write = make.query("UPDATE users SET seen = ? WHERE id = ?", "x", table="users")
    others = [_user(make, n, line) for n, line in enumerate(_lines(5))][2:]
    return [make.request(), first, second, write, *others], []


def parameters_untold(make: Any) -> Labelled:
    queries = [make.query(USER, None, site=line, table="users") for line in _lines(5)]
    return [make.request(), *queries], []


def in_the_background(make: Any) -> Labelled:
    request = make.request(ms=1)
    make.now += 50
    return [request, *_users(make, 5)], []
