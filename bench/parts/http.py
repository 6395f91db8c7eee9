"""Requests per second kept, latencies and CPU of the app under load: FastAPI under uvicorn, Flask under waitress."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from bench.load import Result, get, side_by_side
from bench.processes import OFF, Process, on, serving, sink, stub
from bench.sheet import ROUNDS, SECONDS, Must, Sheet, least, most, rounds

PATHS = ("/hello", "/q1", "/q50", "/mix")
Measured = dict[str, dict[str, list[Result]]]
"""By path and variant, one result a round."""


@contextlib.contextmanager
def apps(
    framework: str, extras: dict[str, dict[str, str]], outgoing: int, python: str = sys.executable
) -> Iterator[dict[str, Process]]:
    """The app in each variant, all of them running."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serving(["-m", "bench.apps", framework], {**extra, "BENCH_STUB": str(outgoing)}, python=python)
            )
            for name, extra in extras.items()
        }


def measure(
    framework: str,
    extras: dict[str, dict[str, str]],
    seconds: float,
    *,
    paths: tuple[str, ...] = PATHS,
    python: str = sys.executable,
    most_rounds: int = ROUNDS,
) -> Measured:
    measured: Measured = {path: {name: [] for name in extras} for path in paths}
    with stub() as outgoing:
        for _ in rounds(seconds, most_rounds):
            with apps(framework, extras, outgoing.port, python) as running:
                for path in paths:
                    for name, result in side_by_side(running, [get(path)], SECONDS).items():
                        measured[path][name].append(result)
    return measured


FIGURES = ("requests/s", "p50", "p99", "CPU per request")


def ratios(measured: Measured, path: str, name: str) -> tuple[list[float], ...]:
    """FIGURES, to the first variant within each round. CPU is what other processes on the machine disturb least."""
    pairs = list(zip(measured[path][name], next(iter(measured[path].values())), strict=True))
    return (
        [run.rate / off.rate for run, off in pairs],
        [run.percentile(0.5) / off.percentile(0.5) for run, off in pairs],
        [run.percentile(0.99) / off.percentile(0.99) for run, off in pairs],
        [run.cpu_each / off.cpu_each for run, off in pairs],
    )


def shares(measured: Measured, name: str) -> list[float]:
    """Disturbed, an app with more threads has more of the core: `requests/s` and latencies mean nothing then, CPU still does."""
    return [result.share for results in measured.values() for result in results[name]]


def per_query(measured: Measured, name: str) -> list[float]:
    """Microseconds of CPU that a query has cost more than without us."""
    off = next(iter(measured["/q1"]))

    def query(variant: str) -> list[float]:
        return [
            (fifty.cpu_each - one.cpu_each) / 49
            for one, fifty in zip(measured["/q1"][variant], measured["/q50"][variant], strict=True)
        ]

    return [ours - bare for ours, bare in zip(query(name), query(off), strict=True)]


RATES = {"fastapi": (0.82, 0.88, 0.93, 0.93), "flask": (0.82, 0.84, 0.89, 0.90)}


def run() -> None:
    with sink() as server:
        extras = {"off": OFF, "control": OFF, "brakit": on(server.port)}
        for framework, kept in RATES.items():
            measured = measure(framework, extras, 150)
            sheet = Sheet(
                f"{framework} over HTTP, ratio to the same app without us; median of up to {ROUNDS} rounds [range]",
                "again (control)", "brakit",
            )  # fmt: skip
            for path, rate in zip(PATHS, kept, strict=True):
                musts: tuple[Must | None, ...] = (least(rate), None, None, None)
                if (framework, path) == ("fastapi", "/hello"):
                    musts = (least(rate), most(1.2), most(1.3), None)
                for what, control, ours, must in zip(
                    FIGURES,
                    ratios(measured, path, "control"),
                    ratios(measured, path, "brakit"),
                    musts,
                    strict=True,
                ):
                    sheet.row(f"{path} {what}", control, ours, must=must)
            sheet.row(
                "CPU added per query, µs: (q50 - q1) / 49",
                per_query(measured, "control"),
                per_query(measured, "brakit"),
                must=most(8) if framework == "fastapi" else None,
            )
            sheet.row("for scale: share of its core that the app had", shares(measured, "control"), shares(measured, "brakit"))
            failed = sum(result.failures for runs in measured.values() for results in runs.values() for result in results)
            sheet.row("answers that were no 2xx", None, [failed], must=most(0))
            sheet.show()
