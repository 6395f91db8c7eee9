"""Waits for connections."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _wait(make: Any, ms: float, source: str = "sqlalchemy", **more: Any) -> Any:
    return make.span(name="wait for a connection", duration_ms=ms, attributes={"source": source, "system": "postgresql"}, **more)


def half_of_the_request(make: Any) -> Labelled:
    return [make.request(ms=200), _wait(make, 100.0)], [("pool-wait", "warning", ("100 ms", "50 %", "pool_size"))]


def a_small_part(make: Any) -> Labelled:
    return [make.request(ms=490), _wait(make, 60.0)], [("pool-wait", "info", ("12 %",))]


def in_vain(make: Any) -> Labelled:
    entries = [make.request(ms=100), _wait(make, 30.0, error="TimeoutError: QueuePool limit of size 5 reached")]
    return entries, [("pool-wait", "critical", ("QueuePool limit", "No connection left"))]


def many_short_ones(make: Any) -> Labelled:
    return [make.request(ms=200), *(_wait(make, 10.0) for _ in range(8))], [("pool-wait", "warning", ("80 ms",))]


def of_another_library(make: Any) -> Labelled:
    return [make.request(ms=200), _wait(make, 90.0, "asyncpg")], [("pool-wait", "warning", ("asyncpg", "max_size"))]


def of_two_libraries(make: Any) -> Labelled:
    entries = [make.request(ms=200), _wait(make, 90.0, "asyncpg"), _wait(make, 60.0, "psycopg_pool")]
    return entries, [("pool-wait", "warning", ("asyncpg",)), ("pool-wait", "warning", ("psycopg_pool",))]


def in_a_job(make: Any) -> Labelled:
    return [make.job("j1", ms=100), _wait(make, 80.0, owner="j1")], [("pool-wait", "warning", ("of the run",))]


def short(make: Any) -> Labelled:
    return [make.request(ms=100), _wait(make, 40.0)], []


def another_span(make: Any) -> Labelled:
    return [make.request(ms=100), make.span(name="render", duration_ms=90.0)], []


def none(make: Any) -> Labelled:
    return [make.request(ms=100), make.query()], []
