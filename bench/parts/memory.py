"""Resident memory of the app after 50 000 requests, one in five with a query: server healthy, and while it hangs."""

from __future__ import annotations

import contextlib
import itertools

from bench.load import drive, get
from bench.processes import OFF, on, serving, sink
from bench.sheet import ROUNDS, Sheet, most, rounds

REQUESTS = 50_000


def measure(extra: dict[str, str]) -> tuple[float, float]:
    """MiB after the first hundred requests, and after all."""
    with serving(["-m", "bench.apps", "fastapi"], extra) as app:
        drive(app.port, [get("/hello"), get("/q1")], 0.1)
        app.quiet()
        before = app.memory()
        kinds = [get("/q1"), *[get("/hello")] * 4]
        drive(app.port, itertools.islice(itertools.cycle(kinds), REQUESTS), 60)
        app.quiet()
        return before, app.memory()


def run() -> None:
    measured: dict[str, list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        healthy, hanging = (stack.enter_context(sink(mode)).port for mode in ("ok", "hang"))
        extras = {"off": OFF, "control": OFF, "healthy": on(healthy), "hanging": on(hanging)}
        for _ in rounds(80, max(2, ROUNDS // 2)):
            for name, extra in extras.items():
                measured.setdefault(name, []).append(measure(extra))
    sheet = Sheet(
        f"memory of a FastAPI app, MiB, after {REQUESTS:,} requests; median of the rounds [range]",
        "without us", "again (control), added", "brakit, added",
    )  # fmt: skip

    def added(name: str, index: int) -> list[float]:
        return [ours[index] - off[index] for ours, off in zip(measured[name], measured["off"], strict=True)]

    base = [row[1] for row in measured["off"]]
    sheet.row("healthy server", base, added("control", 1), added("healthy", 1), must=most(5))
    sheet.row("hanging server", base, added("control", 1), added("hanging", 1), must=most(8))
    start = [row[0] for row in measured["off"]]
    sheet.row("for scale: before the load", start, added("control", 0), added("healthy", 0))
    sheet.show()
