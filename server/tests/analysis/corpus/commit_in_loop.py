"""Commits: one for each row, and others that are meant."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

LINE = ("app/orders.py", 50, "import_rows")


def _commits(make: Any, number: int, *, ms: float = 2.0, pause: float = 0.0, end: str = "commit", **more: Any) -> list[Any]:
    entries = []
    sql = more.pop("sql", "INSERT INTO items (name) VALUES (?)")
    line = more.pop("line", LINE)
    for _ in range(number):
        make.now += pause
        id = f"t{make.now}"
        entries.append(make.query(sql, "p", transaction_id=id, table="items", ms=0.5, **more))
        entries.append(make.query("COMMIT", transaction_id=id, transaction_mark=end, ms=ms, site=line, table="", **more))
        make.now += ms
    return entries


def a_commit_for_each_row(make: Any) -> Labelled:
    words = ("commits 8 transactions", "app/orders.py:50", "session.commit()", "Commit for each row of items")
    return [make.request(ms=200), *_commits(make, 8)], [("commit-in-loop", "warning", words)]


def dear_commits(make: Any) -> Labelled:
    return [make.request(ms=100), *_commits(make, 10, ms=8.0)], [("commit-in-loop", "critical")]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1", ms=500), *_commits(make, 6, owner="j1")], [("commit-in-loop", "warning", ("in one run",))]


def updates_of_django(make: Any) -> Labelled:
    sql = "UPDATE items SET seen = ? WHERE id = ?"
    return [make.request(ms=300), *_commits(make, 7, sql=sql, source="django")], [("commit-in-loop", "warning", ("atomic",))]


def with_an_innocent_one_before(make: Any) -> Labelled:
    first = [make.query("INSERT INTO logs (t) VALUES (?)", "x", transaction_id="t0", table="logs")]
    first.append(make.query("COMMIT", transaction_id="t0", transaction_mark="commit", table="", site=LINE))
    return [make.request(ms=300), *first, *_commits(make, 6)], [("commit-in-loop", "warning", ("commits 6",))]


def commits_without_a_line(make: Any) -> Labelled:
    return [make.request(ms=300), *_commits(make, 6, line=None)], [("commit-in-loop", "warning", ("app/orders.py:42",))]


def five_are_enough(make: Any) -> Labelled:
    return [make.request(ms=300), *_commits(make, 5)], [("commit-in-loop", "warning")]


def a_log_line_between(make: Any) -> Labelled:
    entries: list[Any] = [make.request(ms=300)]
    for part in (_commits(make, 3), _commits(make, 3)):
        entries += [*part, make.log("imported")]
    return entries, [("commit-in-loop", "warning", ("commits 6",))]


def four_steps(make: Any) -> Labelled:
    return [make.request(ms=200), *_commits(make, 4)], []


def one_commit_for_all(make: Any) -> Labelled:
    rows = [make.query("INSERT INTO items (name) VALUES (?)", "p", transaction_id="t", batch_size=50)]
    return [make.request(ms=200), *rows, make.query("COMMIT", transaction_id="t", transaction_mark="commit", table="")], []


def rolled_back(make: Any) -> Labelled:
    return [make.request(ms=200), *_commits(make, 8, end="rollback")], []


def only_read(make: Any) -> Labelled:
    return [make.request(ms=2000), *_commits(make, 8, sql="SELECT id FROM items FOR UPDATE", pause=30.0)], []


def a_worker_that_waits(make: Any) -> Labelled:
    return [make.job("j1", ms=9000), *_commits(make, 8, pause=400.0, owner="j1")], []


def a_call_before_each(make: Any) -> Labelled:
    entries: list[Any] = [make.request(ms=300)]
    for n in range(6):
        entries += [make.fetch(f"http://127.0.0.1:9/pay/{n}", ms=5.0)]
        make.now += 6
        entries += _commits(make, 1)
    return entries, []


def different_things(make: Any) -> Labelled:
    entries: list[Any] = [make.request(ms=300)]
    for n in range(6):
        entries += _commits(make, 1, sql=f"INSERT INTO table{n} (a) VALUES (?)")
    return entries, []
