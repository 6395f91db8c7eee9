"""The server is healthy, absent, hangs, or answers after half a second: none of it may hold the app up."""

from __future__ import annotations

import contextlib

from bench.parts.http import measure, ratios
from bench.processes import ABSENT, OFF, on, sink
from bench.sheet import ROUNDS, Sheet, least, most

KEPT = {"healthy": least(0.88), "absent": least(0.92), "hanging": least(0.88), "slow": None}


def run() -> None:
    with contextlib.ExitStack() as stack:
        healthy, hanging, slow = (stack.enter_context(sink(mode)).port for mode in ("ok", "hang", "slow"))
        extras = {
            "off": OFF,
            "control": OFF,
            "healthy": on(healthy),
            "absent": on(ABSENT),
            "hanging": on(hanging),
            "slow": on(slow),
        }
        measured = measure("fastapi", extras, 100, paths=("/q1",))
    sheet = Sheet(
        f"a server in trouble: FastAPI /q1, ratio to the same app without us; median of up to {ROUNDS} rounds [range]",
        "again (control)", "brakit",
    )  # fmt: skip
    control = ratios(measured, "/q1", "control")
    for name, kept in KEPT.items():
        rate, p50, p99 = ratios(measured, "/q1", name)
        sheet.row(f"{name}: requests/s", control[0], rate, must=kept)
        sheet.row(f"{name}: p50", control[1], p50)
        sheet.row(f"{name}: p99", control[2], p99, must=most(1.2) if name == "hanging" else None)
    sheet.show()
