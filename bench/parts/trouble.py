"""The server is healthy, absent, hangs, or answers after half a second: none of it may hold the app up."""

from __future__ import annotations

import contextlib

from bench.parts.http import FIGURES, measure, ratios
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
        musts = (kept, None, most(1.2) if name == "hanging" else None, None)
        for what, bare, ours, must in zip(FIGURES, control, ratios(measured, "/q1", name), musts, strict=True):
            sheet.row(f"{name}: {what}", bare, ours, must=must)
    sheet.show()
