"""What most endpoints ask for, and what belongs to single ones."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

FLAGS = "SELECT name, value FROM flags"
USER = "SELECT id, name FROM users WHERE id = ?"
LINE = ("app/base.py", 7, "flags")


def _endpoints(
    make: Any, number: int, sql: str | None = FLAGS, *, asks: int | None = None, rounds: int = 2, **more: Any
) -> list[Any]:
    """`number` endpoints with a statement of their own, of which `asks` run `sql` too."""
    entries = []
    for n in range(number * rounds):
        k = n % number
        make.now += 10_000
        entries.append(make.request(f"r{n}", route=f"/page{k}", ms=50))
        entries.append(make.query(f"SELECT id FROM table{k} WHERE a = ?", f"{n}", owner=f"r{n}", table=f"table{k}"))
        if sql is not None and k < (number if asks is None else asks):
            entries.append(make.query(sql, owner=f"r{n}", **{"table": "flags", "site": LINE, **more}))
    return entries


def flags_for_everybody(make: Any) -> Labelled:
    words = ("4 of 4 endpoints", "SELECT on flags", "app/base.py:7 in flags", "GET /page0", "1.0 ms a request (2 %)")
    return _endpoints(make, 4), [("cross-endpoint", "info", words)]


def dear(make: Any) -> Labelled:
    return _endpoints(make, 4, ms=12.0), [("cross-endpoint", "critical", ("12 ms", "24 %"))]


def dear_enough_to_warn(make: Any) -> Labelled:
    return _endpoints(make, 4, ms=6.0), [("cross-endpoint", "warning")]


def on_half_of_them(make: Any) -> Labelled:
    return _endpoints(make, 8, asks=4), [("cross-endpoint", "info", ("4 of 8 endpoints",))]


def the_very_bound(make: Any) -> Labelled:
    return _endpoints(make, 3), [("cross-endpoint", "info", ("3 of 3",))]


def from_several_lines(make: Any) -> Labelled:
    entries = _endpoints(make, 4, None)
    for n, request in enumerate([entry for entry in entries if entry.id.startswith("r")]):
        line = (f"app/view{n % 4}.py", 3, "view")
        entries.append(make.query(FLAGS, owner=request.id, table="flags", site=line, timestamp=request.timestamp + 4))
    return entries, [("cross-endpoint", "info", ("4 of 4 endpoints",))]


def the_user_of_each(make: Any) -> Labelled:
    return _endpoints(make, 6, USER, table="users", params="u"), [("cross-endpoint", "info", ("users",))]


def many(make: Any) -> Labelled:
    return _endpoints(make, 12), [("cross-endpoint", "info", ("12 of 12 endpoints", "and 7 more"))]


def two_endpoints(make: Any) -> Labelled:
    return _endpoints(make, 2, rounds=5), []


def on_few_of_many(make: Any) -> Labelled:
    return _endpoints(make, 9, asks=3), []


def four_executions(make: Any) -> Labelled:
    return _endpoints(make, 4, rounds=1), []


def sessions(make: Any) -> Labelled:
    sql = "SELECT data FROM django_session WHERE key = ?"
    return _endpoints(make, 5, sql, table="django_session", params="s"), []


def locks(make: Any) -> Labelled:
    return _endpoints(make, 5, f"{USER} FOR UPDATE", table="users", params="u"), []


def a_ping(make: Any) -> Labelled:
    return _endpoints(make, 5, "SELECT 1", table="", params=None), []


def writes(make: Any) -> Labelled:
    return _endpoints(make, 5, "INSERT INTO visits (path) VALUES (?)", table="visits", params="v"), []


def taken_out_of_the_code(make: Any) -> Labelled:
    before = _endpoints(make, 4)
    after = []
    for n in range(100):
        make.now += 10_000
        after.append(make.request(f"n{n}", route=f"/page{n % 4}", ms=50))
        after.append(make.query(f"SELECT id FROM table{n % 4} WHERE a = ?", f"n{n}", owner=f"n{n}", table=f"table{n % 4}"))
    return [*before, *after], []


def jobs(make: Any) -> Labelled:
    entries = []
    for n in range(10):
        make.now += 10_000
        entries += [make.job(f"j{n}", f"job{n % 5}"), make.query(FLAGS, owner=f"j{n}", table="flags", site=LINE)]
    return entries, []
