"""Blocked event loops, and spans that only take long."""

from __future__ import annotations

from typing import Any

from brakit_server.records import Callsite

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

SITE = Callsite(file="app/report.py", line=31, function="render")


def _block(make: Any, ms: float = 300.0, site: Any = SITE, owner: str | None = "r1", **attributes: str) -> Any:
    told = {"source": "asyncio", "delayed": "0", **attributes}
    return make.span(owner=owner, name="event loop blocked", duration_ms=ms, call_site=site, attributes=told)


def by_computing(make: Any) -> Labelled:
    words = ("GET /orders blocks the event loop for 300 ms at app/report.py:31 in render", "asyncio.to_thread")
    return [make.request(ms=320), _block(make)], [("blocked-loop", "warning", words)]


def while_others_wait(make: Any) -> Labelled:
    block = _block(make, delayed="3", requests="r7 r8 r9")
    return [make.request(ms=320), block], [("blocked-loop", "critical", ("3 other requests had to wait",))]


def for_seconds(make: Any) -> Labelled:
    return [make.request(ms=2400), _block(make, 2300.0)], [("blocked-loop", "critical", ("2.3 s",))]


def by_a_call_that_blocks(make: Any) -> Labelled:
    block = _block(make, call="requests.api.get")
    return [make.request(ms=320), block], [("blocked-loop", "warning", ("(requests.api.get)", "Use httpx.AsyncClient"))]


def several_times_from_one_line(make: Any) -> Labelled:
    blocks = [_block(make, 150.0) for _ in range(3)]
    return [make.request(ms=500), *blocks], [("blocked-loop", "warning", ("450 ms in 3 stretches",))]


def from_two_lines(make: Any) -> Labelled:
    other = Callsite(file="app/mail.py", line=5, function="send")
    blocks = [_block(make), _block(make, 120.0, other)]
    return [make.request(ms=500), *blocks], [("blocked-loop", "warning"), ("blocked-loop", "warning", ("app/mail.py:5",))]


def in_a_library(make: Any) -> Labelled:
    block = _block(make, site=None, call="PIL.Image.resize")
    return [make.request(ms=400), block], [("blocked-loop", "warning", ("PIL.Image.resize",))]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1", ms=400), _block(make, owner="j1")], [("blocked-loop", "warning", ("send_invoices",))]


def during_a_probe(make: Any) -> Labelled:
    return [make.request(ms=400, is_health_check=True), _block(make)], [("blocked-loop", "warning")]


def not_for_a_moment(make: Any) -> Labelled:
    return [make.request(ms=120), _block(make, 85.0)], []


def not_a_span_of_the_apps(make: Any) -> Labelled:
    return [make.request(ms=900), make.span(name="render", duration_ms=800.0)], []


def not_a_long_wait(make: Any) -> Labelled:
    return [make.request(ms=900), make.span(name="background tasks", duration_ms=800.0)], []


def not_with_figures_that_are_none(make: Any) -> Labelled:
    block = _block(make, delayed="9" * 5000)
    return [make.request(ms=320), block], [("blocked-loop", "warning")]
