"""Calls without a limit of time, and calls with one."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def with_requests(make: Any) -> Labelled:
    words = ("POST 127.0.0.1:9/charge", "app/pay.py:9 in charge", "timeout=(3, 10)")
    return [make.request(), make.fetch(has_timeout=False, source="requests")], [("missing-timeout", "warning", words)]


def with_httpx(make: Any) -> Labelled:
    return [make.request(), make.fetch(has_timeout=False, source="httpx")], [("missing-timeout", "warning", ("timeout=10",))]


def with_aiohttp(make: Any) -> Labelled:
    call = make.fetch(has_timeout=False, source="aiohttp")
    return [make.request(), call], [("missing-timeout", "warning", ("ClientTimeout(total=10)",))]


def with_the_standard_library(make: Any) -> Labelled:
    call = make.fetch(has_timeout=False, source="urllib")
    return [make.request(), call], [("missing-timeout", "warning", ("urlopen(…, timeout=10)",))]


def with_a_library_that_is_not_known(make: Any) -> Labelled:
    return [make.request(), make.fetch(has_timeout=False, source=None)], [
        ("missing-timeout", "warning", ("handle the exception.",))
    ]


def several_from_one_function(make: Any) -> Labelled:
    calls = [make.fetch(f"http://{name}.internal/x", has_timeout=False) for name in "abc"]
    return [make.request(), *calls], [("missing-timeout", "warning", ("a.internal/x and 2 more",))]


def without_a_line(make: Any) -> Labelled:
    call = make.fetch("http://a.internal/x/7", has_timeout=False, call_site=None)
    return [make.request(), call], [("missing-timeout", "warning", ("a.internal/x/:id",))]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1"), make.fetch(owner="j1", has_timeout=False)], [("missing-timeout", "info", ("send_invoices",))]


def one_of_two(make: Any) -> Labelled:
    return [make.request(), make.fetch(has_timeout=True), make.fetch(has_timeout=False)], [("missing-timeout", "warning")]


def not_with_a_limit(make: Any) -> Labelled:
    return [make.request(), make.fetch(has_timeout=True)], []


def not_where_it_is_unknown(make: Any) -> Labelled:
    return [make.request(), make.fetch(), make.fetch(has_timeout=None)], []


def not_for_taking_long(make: Any) -> Labelled:
    return [make.request(ms=9000), make.fetch(has_timeout=True, ms=8000.0)], []
