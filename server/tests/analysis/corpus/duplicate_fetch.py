"""The same call again, and calls that only look the same."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

RATES = "http://rates.internal/eur"


def _get(make: Any, url: str = RATES, ms: float = 15.0, pause: float = 0.0, **more: Any) -> Any:
    make.now += pause
    call = make.fetch(url, **{"method": "GET", "ms": ms, "response_size": 40, **more})
    make.now += ms
    return call


def twice(make: Any) -> Labelled:
    words = ("GET rates.internal/eur 2 times", "app/pay.py:9 in charge", "15 ms")
    return [make.request(), _get(make), _get(make)], [("duplicate-fetch", "warning", words)]


def five_times(make: Any) -> Labelled:
    return [make.request(), *(_get(make) for _ in range(5))], [("duplicate-fetch", "critical", ("5 times", "60 ms"))]


def with_other_things_between(make: Any) -> Labelled:
    between = [make.log(), make.query(), make.log()]
    return [make.request(), _get(make), *between, _get(make)], [("duplicate-fetch", "warning")]


def from_two_lines(make: Any) -> Labelled:
    from brakit_server.records import Callsite

    other = Callsite(file="app/tax.py", line=3, function="tax")
    words = ("app/pay.py:9 in charge, app/tax.py:3 in tax",)
    return [make.request(), _get(make), _get(make, call_site=other)], [("duplicate-fetch", "warning", words)]


def in_a_job(make: Any) -> Labelled:
    calls = [_get(make, owner="j1") for _ in range(3)]
    return [make.job("j1"), *calls], [("duplicate-fetch", "critical", ("send_invoices", "in one run"))]


def of_a_fast_neighbour(make: Any) -> Labelled:
    return [make.request(), _get(make, ms=2), _get(make, ms=2)], [("duplicate-fetch", "info")]


def two_different_ones_twice(make: Any) -> Labelled:
    calls = [_get(make), _get(make, "http://users.internal/me"), _get(make), _get(make, "http://users.internal/me")]
    return [make.request(ms=200), *calls], [("duplicate-fetch", "warning"), ("duplicate-fetch", "warning")]


def head_requests(make: Any) -> Labelled:
    return [make.request(), *(_get(make, method="HEAD", response_size=0) for _ in range(2))], [("duplicate-fetch", "warning")]


def not_other_parameters(make: Any) -> Labelled:
    return [make.request(), _get(make, f"{RATES}?day=1"), _get(make, f"{RATES}?day=2")], []


def not_what_changes_something(make: Any) -> Labelled:
    return [make.request(), _get(make, method="POST"), _get(make, method="POST")], []


def not_after_a_change_on_that_host(make: Any) -> Labelled:
    return [make.request(), _get(make), make.fetch("http://rates.internal/refresh", ms=0.1), _get(make)], []


def not_a_second_try(make: Any) -> Labelled:
    return [make.request(), _get(make, status_code=503), _get(make)], []


def not_a_second_try_after_no_answer(make: Any) -> Labelled:
    return [make.request(), _get(make, status_code=0, error="ConnectError: refused", response_size=None), _get(make)], []


def not_polling(make: Any) -> Labelled:
    return [make.request(ms=2000), *(_get(make, pause=250) for _ in range(4))], []


def not_an_answer_that_changed(make: Any) -> Labelled:
    return [make.request(), _get(make), _get(make, response_size=44)], []


def not_side_by_side(make: Any) -> Labelled:
    calls = [make.fetch(RATES, method="GET", ms=30.0, response_size=40) for _ in range(3)]
    return [make.request(), *calls], []


def not_with_a_secret_in_it(make: Any) -> Labelled:
    from brakit.redact import MASK

    return [make.request(), _get(make, f"{RATES}?token={MASK}"), _get(make, f"{RATES}?token={MASK}")], []


def not_after_the_response(make: Any) -> Labelled:
    request = make.request(ms=1)
    make.now += 5
    return [request, _get(make), _get(make)], []


def not_out_of_a_cache(make: Any) -> Labelled:
    return [make.request(ms=10), _get(make, ms=0.2), _get(make, ms=0.2)], []
