"""Endpoints that fail often, and those that only fail."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _answers(make: Any, statuses: list[int], run: str = "a", **more: Any) -> list[Any]:
    entries = []
    for n, status in enumerate(statuses):
        make.now += 1000
        entries.append(make.request(f"{run}-{n}", status=status, ms=10, run=run, **more))
    return entries


def every_other_one(make: Any) -> Labelled:
    words = ("5 of the last 10 requests (50 %)", "5 with 500", "No exception was seen")
    return _answers(make, [200, 500] * 5), [("error-hotspot", "critical", words)]


def one_in_four(make: Any) -> Labelled:
    return _answers(make, [200, 200, 200, 503] * 4), [("error-hotspot", "warning", ("4 of the last 16", "4 with 503"))]


def several_kinds(make: Any) -> Labelled:
    return _answers(make, [500, 502, 500, 200, 200]), [("error-hotspot", "critical", ("2 with 500, 1 with 502",))]


def with_exceptions(make: Any) -> Labelled:
    entries = _answers(make, [200, 500] * 4)
    errors = [make.error(owner=f"a-{n}", timestamp=entries[n].timestamp + 1) for n in range(1, 8, 2)]
    words = ("exceptions that are reported for the same endpoint",)
    return [*entries, *errors], [("error", "critical"), ("error-hotspot", "critical", words)]


def only_some_with_exceptions(make: Any) -> Labelled:
    entries = _answers(make, [200, 500] * 4)
    return [*entries, make.error(owner="a-1", timestamp=entries[1].timestamp + 1)], [
        ("error", "critical"),
        ("error-hotspot", "critical", ("3 of them without an exception",)),
    ]


def a_job_that_fails(make: Any) -> Labelled:
    entries = []
    for n in range(6):
        make.now += 1000
        entries.append(make.job(f"j{n}", status="failed" if n % 2 else "succeeded"))
    return entries, [("error-hotspot", "critical", ("send_invoices fails in 3 of the last 6 runs (50 %).",))]


def since_the_restart(make: Any) -> Labelled:
    entries = _answers(make, [200] * 30) + _answers(make, [500] * 5, "b")
    return entries, [("error-hotspot", "critical", ("5 of the last 5",))]


def the_newest_twenty_count(make: Any) -> Labelled:
    return _answers(make, [200] * 60 + [500] * 4), [("error-hotspot", "warning", ("4 of the last 20",))]


def not_refused_ones(make: Any) -> Labelled:
    return _answers(make, [404, 401, 422, 429, 404] * 3), []


def not_two_failures(make: Any) -> Labelled:
    return _answers(make, [500, 200, 500, 200, 200]), []


def not_a_failure_now_and_then(make: Any) -> Labelled:
    return _answers(make, ([500] + [200] * 6) * 3), []


def not_those_of_the_run_before(make: Any) -> Labelled:
    return _answers(make, [500] * 10) + _answers(make, [200] * 5, "b"), []


def not_what_was_repaired_meanwhile(make: Any) -> Labelled:
    return _answers(make, [500] * 10 + [200] * 20), []


def not_what_the_client_gave_up(make: Any) -> Labelled:
    return _answers(make, [499] * 6 + [200] * 6, cancelled=True), []


def not_a_probe(make: Any) -> Labelled:
    return _answers(make, [503] * 10, is_health_check=True), []
