"""Calls that could run together, and calls that need each other."""

from __future__ import annotations

from typing import Any

from brakit_server.records import Callsite

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _get(make: Any, url: str, ms: float = 80.0, pause: float = 0.0, **more: Any) -> Any:
    make.now += pause
    call = make.fetch(f"http://{url}", **{"method": "GET", "ms": ms, "response_size": len(url), **more})
    make.now += ms
    return call


def three_services(make: Any) -> Labelled:
    calls = [_get(make, "users.internal/me"), _get(make, "rates.internal/eur"), _get(make, "news.internal/top")]
    words = ("3 calls one after the other at app/pay.py:9", "240 ms", "160 ms less", "asyncio.gather")
    return [make.request(ms=300), *calls], [("sequential-calls", "warning", words)]


def two_long_ones(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 300), _get(make, "b.internal/y", 250)]
    return [make.request(ms=600), *calls], [("sequential-calls", "warning", ("250 ms less",))]


def a_small_part_of_the_whole(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 150), _get(make, "b.internal/y", 150)]
    return [make.request(ms=1400), *calls], [("sequential-calls", "warning", ("11 %",))]


def a_loop_over_ids(make: Any) -> Labelled:
    calls = [_get(make, f"users.internal/users/{n}", 40) for n in range(5)]
    return [make.request(ms=300), *calls], [("sequential-calls", "warning", ("users.internal/users/:id", "one call for all"))]


def a_loop_over_what_a_first_call_has_told(make: Any) -> Labelled:
    calls = [_get(make, "users.internal/users"), *(_get(make, f"users.internal/users/{n}", 40) for n in range(5))]
    return [make.request(ms=400), *calls], [("sequential-calls", "warning", ("makes 5 calls",))]


def with_the_id_of_the_request(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/orders/17", 120), _get(make, "b.internal/invoices/17", 120)]
    return [make.request(ms=300, url="/orders/17", path="/orders/17"), *calls], [("sequential-calls", "warning")]


def with_a_value_of_the_body(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/stock?sku=AB-1", 120), _get(make, "b.internal/price?sku=AB-1", 120)]
    return [make.request(ms=300, method="POST", request_body='{"sku": "AB-1"}'), *calls], [("sequential-calls", "warning")]


def with_a_value_that_the_first_has_too(make: Any) -> Labelled:
    calls = [_get(make, f"{name}.internal/x?tenant=acme", 120) for name in "abc"]
    return [make.request(ms=500), *calls], [("sequential-calls", "warning", ("3 calls",))]


def in_a_job(make: Any) -> Labelled:
    calls = [_get(make, f"{name}.internal/all", 100, owner="j1") for name in "abcd"]
    return [make.job("j1", ms=500), *calls], [("sequential-calls", "warning", ("of the run",))]


def after_a_query(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 200), _get(make, "b.internal/y", 200)]
    return [make.request(ms=500), make.query(), *calls], [("sequential-calls", "warning")]


def not_what_needs_an_id_from_before(make: Any) -> Labelled:
    return [make.request(ms=500), _get(make, "users.internal/me", 200), _get(make, "orgs.internal/orgs/993", 200)], []


def not_pages(make: Any) -> Labelled:
    return [make.request(ms=500), *(_get(make, f"a.internal/list?page={n}", 100) for n in range(4))], []


def not_pages_with_a_cursor(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/list", 100), *(_get(make, f"a.internal/list?cursor=x{n}", 100) for n in range(3))]
    return [make.request(ms=500), *calls], []


def not_a_chain_of_two(make: Any) -> Labelled:
    return [make.request(ms=500), _get(make, "a.internal/nodes/1", 200), _get(make, "a.internal/nodes/7", 200)], []


def not_what_changes_something(make: Any) -> Labelled:
    calls = [make.fetch(f"http://{name}.internal/x", ms=150.0) for name in "ab"]
    calls[1].timestamp = calls[0].timestamp + 151
    return [make.request(ms=500), *calls], []


def not_what_runs_together_already(make: Any) -> Labelled:
    return [make.request(ms=300), *(make.fetch(f"http://{n}.internal/x", method="GET", ms=200.0) for n in "abc")], []


def not_with_work_between(make: Any) -> Labelled:
    return [make.request(ms=700), _get(make, "a.internal/x", 200), _get(make, "b.internal/y", 200, pause=100)], []


def not_with_a_query_between(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 200), make.query(), _get(make, "b.internal/y", 200)]
    return [make.request(ms=500), *calls], []


def not_another_way_after_a_failure(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 200, status_code=500), _get(make, "b.internal/x", 200)]
    return [make.request(ms=500), *calls], []


def not_from_different_functions(make: Any) -> Labelled:
    other = Callsite(file="app/news.py", line=4, function="top")
    return [make.request(ms=500), _get(make, "a.internal/x", 200), _get(make, "b.internal/y", 200, call_site=other)], []


def not_short_ones(make: Any) -> Labelled:
    return [make.request(ms=300), *(_get(make, f"{name}.internal/x", 15) for name in "abcdefghij")], []


def not_for_a_small_gain(make: Any) -> Labelled:
    return [make.request(ms=3000), _get(make, "a.internal/x", 200), _get(make, "b.internal/y", 200)], []


def not_the_same_again(make: Any) -> Labelled:
    calls = [_get(make, "a.internal/x", 200), _get(make, "a.internal/x", 200)]
    return [make.request(ms=5000), *calls], [("duplicate-fetch", "info")]
