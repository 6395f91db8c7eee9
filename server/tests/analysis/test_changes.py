from __future__ import annotations

from typing import Any

from brakit_server.analysis.changes import Place, changes, generations
from brakit_server.analysis.schemas import shape_of
from brakit_server.answers import Run
from brakit_server.stores.rollups import Rollup, RollupKey


def run(name: str, started: float, last: float, revision: str | None = None, service: str = "shop") -> Run:
    return Run(run=name, service=service, started=started, first_seen_at=started, last_seen_at=last, events=1, revision=revision)


def row(name: str, revision: str | None = None, *, count: int = 10, ms: float = 10.0, **sums: Any) -> Any:
    rollup = Rollup(count=count, **sums)
    for _ in range(count):
        rollup.durations.add(ms)
    return RollupKey("request", "shop", "GET /cart", name, revision, 0), rollup


def test_processes_side_by_side_are_one_generation() -> None:
    runs = [run("w1", 0, 50), run("w2", 1, 60), run("n1", 70, 90), run("n2", 71, 95), run("x", 2, 3, service="other")]
    assert generations(runs) == {"shop": [("n1", "n2"), ("w1", "w2")], "other": [("x",)]}
    assert generations([run("a", 0, 50, "r1"), run("b", 10, 60, "r2")]) == {"shop": [("b",), ("a",)]}


def test_what_one_edit_did() -> None:
    runs = [run("a", 0, 5, "r1"), run("b", 10, 15, "r1"), run("c", 20, 25, "r2"), run("d", 30, 35, "r2")]
    rows = [
        row("a", "r1", queries=20),
        row("b", "r1", queries=20),
        row("c", "r2", queries=60, ms=40.0, errors=1),
        row("d", "r2", queries=60, ms=41.0, errors=1),
    ]
    place: Place = ("request", "shop", "GET /cart")
    shapes = {
        (place, "a"): [shape_of({"a": 1})],
        (place, "c"): [shape_of({"a": 1, "b": 2})],
        (place, "d"): [shape_of({"a": 1, "b": 2})],
    }
    [found] = changes(rows, runs, shapes)
    assert found.revision is not None
    assert (found.run.before.runs, found.run.after.runs, found.run.changed, found.run.shape) == (["c"], ["d"], [], [])
    assert (found.revision.before.runs, found.revision.after.runs) == (["b", "a"], ["d", "c"])
    assert found.revision.changed == ["queries", "time", "errors", "shape"]
    assert (found.revision.before.avg_queries, found.revision.after.avg_queries) == (2.0, 6.0)
    assert [(each.path, each.before, each.after) for each in found.revision.shape or ()] == [("b", None, "number")]


def test_few_requests_say_nothing_about_time_but_about_queries() -> None:
    rows = [row("a", count=2, queries=2), row("b", count=2, queries=10, ms=500.0)]
    [found] = changes(rows, [run("a", 0, 5), run("b", 10, 15)], {})
    assert (found.run.changed, found.run.shape, found.revision) == (["queries"], None, None)


def test_a_small_or_short_difference_is_none() -> None:
    for ms in (11.0, 14.0):
        [found] = changes([row("a", ms=10.0), row("b", ms=ms)], [run("a", 0, 5), run("b", 10, 15)], {})
        assert found.run.changed == []
    [found] = changes([row("a", ms=100.0), row("b", ms=110.0)], [run("a", 0, 5), run("b", 10, 15)], {})
    assert found.run.changed == []


def test_without_anything_before_there_is_no_comparison() -> None:
    assert changes([row("b")], [run("a", 0, 5), run("b", 10, 15)], {}) == []
    assert changes([row("gone"), row("b")], [run("b", 10, 15)], {}) == []


def test_a_run_that_did_not_call_it_is_passed_over() -> None:
    runs = [run("a", 0, 5), run("b", 10, 15), run("c", 20, 25)]
    [found] = changes([row("a"), row("c")], runs, {})
    assert (found.run.before.runs, found.run.after.runs) == (["a"], ["c"])


def test_changed_ones_come_first() -> None:
    same = [(key._replace(endpoint="GET /a"), sums) for key, sums in (row("a"), row("b"))]
    found = changes([*same, row("a", queries=0), row("b", queries=10)], [run("a", 0, 5), run("b", 10, 15)], {})
    assert [each.endpoint for each in found] == ["GET /cart", "GET /a"]
