from __future__ import annotations

from typing import Any

from brakit_server.analysis.point import Point, point_of
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.window import POINTS, RUNS, Window


def point(n: int, ms: float = 10.0, run: str = "a", status: int = 200) -> Point:
    return Point(request_id=f"{run}{n}", run=run, started=n * 1000.0, duration_ms=ms, status=status)


def window(*points: Point) -> Window:
    filled = Window("shop", "GET /")
    for each in points:
        filled.put(each)
    return filled


def test_is_bounded_and_counts_on() -> None:
    filled = window(*(point(n, run=f"run{n // 30}") for n in range(3000)))
    assert (len(filled.points), len(filled.runs), filled.total) == (POINTS, RUNS, 3000)


def test_figures_of_a_run_cover_all_of_it() -> None:
    filled = window(*(point(n, 1000.0 if n < 800 else 10.0) for n in range(1000)))
    assert abs(filled.runs["a"].durations.quantile(0.95) - 1000) < 21


def test_a_request_again_replaces_its_figures() -> None:
    filled = window(point(1))
    late = point(1)
    late.queries, late.query_ms = 4, 3.0
    filled.put(late, again=True)
    assert (filled.total, filled.points[0].queries, filled.runs["a"].queries, filled.runs["a"].query_ms) == (1, 4, 4, 3.0)


def test_a_request_again_that_is_gone_changes_nothing() -> None:
    filled = window(*(point(n) for n in range(POINTS + 5)))
    filled.put(point(0), again=True)
    assert filled.total == POINTS + 5
    assert filled.points[0].request_id == "a5"


def test_points_are_in_order_of_their_ends() -> None:
    assert [each.request_id for each in window(point(3), point(1), point(2)).points] == ["a1", "a2", "a3"]


def test_baseline_is_the_middle_of_earlier_runs() -> None:
    runs = [("a", 100.0), ("b", 500.0), ("c", 110.0), ("d", 900.0)]
    points = [point(i * 100 + n, ms, run) for i, (run, ms) in enumerate(runs) for n in range(7)]
    baseline = window(*points).baseline(5)
    assert baseline is not None
    assert abs(baseline.median_ms - 110) < 3
    assert baseline.earlier_runs == 3


def test_no_baseline_of_too_little() -> None:
    assert Window(None, "GET /").baseline(5) is None
    assert window(*(point(n) for n in range(12))).baseline(5) is None


def test_streams_and_refusals_have_no_say_in_durations(make: Any) -> None:
    stream = make.request("s", response_headers={"content-type": "text/event-stream"})
    assert not point_of(Timeline(stream, [])).timed()
    assert not point(1, status=404).timed()
    assert point(1, status=503).timed()


def test_work_after_the_response_is_no_part_of_it(make: Any) -> None:
    request = make.request(ms=50)
    during = make.query(timestamp=request.timestamp + 1, ms=10, fetch_ms=5)
    after = make.query(timestamp=request.timestamp + 80, ms=500)
    figures = point_of(Timeline(request, [after, during]))
    assert (figures.queries, figures.query_ms, figures.app_ms) == (2, 15, 35)
