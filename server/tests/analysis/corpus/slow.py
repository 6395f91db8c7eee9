"""Slow endpoints: against themselves and against the floor."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _run(make: Any, run: str, durations: list[float], **more: Any) -> list[Any]:
    entries = []
    for n, ms in enumerate(durations):
        make.now += 10_000
        entries.append(make.request(f"{run}-{n}", ms=ms, run=run, **more))
    return entries


def slower_than_the_run_before(make: Any) -> Labelled:
    entries = _run(make, "a", [900, 100, 110, 90, 105, 95, 100]) + _run(make, "b", [900, 250, 260, 255, 240, 262])
    return entries, [("slow", "warning", ("times as long", "earlier run"))]


def far_slower_than_the_run_before(make: Any) -> Labelled:
    entries = _run(make, "a", [100.0] * 8) + _run(make, "b", [900.0] * 8)
    return entries, [("slow", "critical", ("900 ms", "times as long"))]


def slower_than_at_the_beginning(make: Any) -> Labelled:
    return _run(make, "a", [50.0] * 20 + [180.0] * 10), [("slow", "warning", ("beginning of this run",))]


def slow_on_the_first_day(make: Any) -> Labelled:
    return _run(make, "a", [700.0, 720.0, 710.0]), [("slow", "warning", ("710 ms", "app 100 %"))]


def slow_for_its_database(make: Any) -> Labelled:
    entries = _run(make, "a", [800.0, 800.0, 800.0])
    for request in list(entries):
        at = request.timestamp + 5
        sql = "SELECT id, name FROM products WHERE name LIKE ?"
        site = ("app/search.py", 12, "search")
        entries.append(make.query(sql, "p", owner=request.id, ms=600.0, timestamp=at, table="products", site=site))
        entries.append(make.fetch(owner=request.id, ms=80.0, timestamp=at + 600))
    words = ("Database 75 %", "calls 10 %", "app 15 %", "SELECT on products", "app/search.py:12", "index")
    return entries, [("slow", "warning", words)]


def slow_for_its_calls(make: Any) -> Labelled:
    entries = _run(make, "a", [800.0, 800.0, 800.0])
    for request in list(entries):
        url = "http://payments.internal/charge/123"
        entries.append(make.fetch(url, owner=request.id, ms=700.0, timestamp=request.timestamp + 5))
    return entries, [("slow", "warning", ("POST payments.internal/charge/:id", "app/pay.py:9", "calls 88 %"))]


def concurrent_calls_count_once(make: Any) -> Labelled:
    entries = _run(make, "a", [600.0, 600.0, 600.0])
    for request in list(entries):
        for _ in range(4):
            entries.append(make.fetch(owner=request.id, ms=300.0, timestamp=request.timestamp + 5))
    return entries, [("slow", "warning", ("calls 50 %", "app 50 %"))]


def not_the_first_request_of_a_run(make: Any) -> Labelled:
    return _run(make, "a", [100.0] * 8) + _run(make, "b", [3000.0, 100.0, 101.0, 99.0, 100.0, 100.0]), []


def not_two_requests(make: Any) -> Labelled:
    return _run(make, "a", [900.0, 900.0]), []


def not_a_little_slower(make: Any) -> Labelled:
    return _run(make, "a", [5.0] * 8) + _run(make, "b", [20.0] * 8), []


def not_within_the_usual_spread(make: Any) -> Labelled:
    wild = [10.0, 400.0, 20.0, 350.0, 30.0, 300.0, 40.0, 250.0, 45.0, 60.0]
    return _run(make, "a", wild) + _run(make, "b", [200.0, 210.0, 190.0, 200.0, 205.0, 200.0]), []


def not_one_slow_request(make: Any) -> Labelled:
    return _run(make, "a", [50.0] * 9 + [4000.0] + [50.0] * 5), []


def not_a_stream(make: Any) -> Labelled:
    return _run(make, "a", [60_000.0] * 5, response_headers={"content-type": "text/event-stream; charset=utf-8"}), []


def not_what_the_client_gave_up(make: Any) -> Labelled:
    return _run(make, "a", [60_000.0] * 5, cancelled=True), []


def not_what_was_slow_before_a_fix(make: Any) -> Labelled:
    return _run(make, "a", [900.0] * 8) + _run(make, "b", [100.0] * 8), []


def not_a_health_check(make: Any) -> Labelled:
    return _run(make, "a", [900.0] * 8, is_health_check=True), []


def not_two_workers_side_by_side(make: Any) -> Labelled:
    entries = []
    for n in range(20):
        entries += _run(make, "ab"[n % 2], [100.0 if n % 2 else 120.0])
    return _renumbered(entries), []


def _renumbered(entries: list[Any]) -> list[Any]:
    for n, entry in enumerate(entries):
        entry.id = f"w{n}"
    return entries
