"""Tries without a pause, and tries that are well meant."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

STOCK = "http://stock.internal/items/7"


def _tries(make: Any, count: int, status: int = 503, pause: float = 0.0, url: str = STOCK, **more: Any) -> list[Any]:
    calls = []
    for _ in range(count):
        fields = {"method": "GET", "ms": 4.0, "status_code": status, **more}
        calls.append(make.fetch(url, **fields))
        make.now += fields["ms"] + pause
    return calls


def six_at_once(make: Any) -> Labelled:
    words = ("GET stock.internal/items/:id 6 times in a row at app/pay.py:9", "503", "pause")
    return [make.request(), *_tries(make, 6)], [("retry-storm", "warning", words)]


def refused_connections(make: Any) -> Labelled:
    calls = _tries(make, 5, 0, error="ConnectError: connection refused")
    return [make.request(), *calls], [("retry-storm", "warning", ("no answer",))]


def told_to_wait(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 8, 429)], [("retry-storm", "warning", ("429",))]


def fifty(make: Any) -> Labelled:
    return [make.request(ms=900), *_tries(make, 50)], [("retry-storm", "critical", ("50 times",))]


def that_works_in_the_end(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 7), *_tries(make, 1, 200)], [("retry-storm", "warning", ("7 times",))]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1"), *_tries(make, 6, owner="j1")], [("retry-storm", "warning", ("send_invoices",))]


def with_logs_between(make: Any) -> Labelled:
    calls = [entry for call in _tries(make, 6, pause=3) for entry in (call, make.log("again"))]
    return [make.request(), *calls], [("retry-storm", "warning")]


def of_a_put(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 5, 502, method="PUT")], [("retry-storm", "warning", ("PUT", "502"))]


def not_three_tries(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 3)], []


def not_with_pauses(make: Any) -> Labelled:
    calls = [call for n in range(6) for call in _tries(make, 1, pause=50 * 2**n)]
    return [make.request(ms=4000), *calls], []


def not_different_things(make: Any) -> Labelled:
    calls = [call for n in range(8) for call in _tries(make, 1, url=f"http://stock.internal/items/{n}")]
    return [make.request(), *calls], []


def not_posts(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 8, method="POST")], []


def not_what_is_not_there(make: Any) -> Labelled:
    return [make.request(), *_tries(make, 8, 404, response_size=1)], []


def not_failures_now_and_then(make: Any) -> Labelled:
    calls = [call for _ in range(5) for call in (*_tries(make, 2, pause=300), *_tries(make, 1, 200, pause=300))]
    return [make.request(ms=6000), *calls], []


def not_side_by_side(make: Any) -> Labelled:
    calls = [make.fetch(STOCK, method="GET", ms=60.0, status_code=503) for _ in range(8)]
    return [make.request(), *calls], []
