"""The longest time for which an event loop does not come round, while it emits 100 000 events and the server hangs or is healthy."""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else variants.off()

import asyncio  # noqa: E402
import contextlib  # noqa: E402
import logging  # noqa: E402
import time  # noqa: E402

from bench.processes import OFF, on, output, sink  # noqa: E402

TURNS = 5_000
EACH = 20
PAUSE_S = 0.0002


async def work() -> None:
    """Prints the longest turn and the one that all but one in a thousand undercut, in milliseconds; the pause is part of it."""
    logger = logging.getLogger("bench.stall")
    logger.addHandler(logging.NullHandler())
    turns = []
    for turn in range(TURNS):
        started = time.perf_counter()
        for index in range(EACH):
            logger.warning("event %d of turn %d", index, turn)
        await asyncio.sleep(PAUSE_S)
        turns.append(time.perf_counter() - started)
    turns.sort()
    print(turns[-1] * 1000, turns[-TURNS // 1000] * 1000)


def measure(extra: dict[str, str]) -> tuple[float, float]:
    longest, usual = map(float, output(["-m", "bench.parts.stall"], extra).split())
    return longest, usual


def run() -> None:
    from bench.sheet import ROUNDS, Sheet, rounds

    measured: dict[str, list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        healthy, hanging = (stack.enter_context(sink(mode)).port for mode in ("ok", "hang"))
        extras = {"off": OFF, "control": OFF, "hanging": on(hanging), "healthy": on(healthy)}
        for _ in rounds(60):
            for name, extra in extras.items():
                measured.setdefault(name, []).append(measure(extra))
    sheet = Sheet(
        f"stalls of an event loop that emits {TURNS * EACH:,} events, ms; median of up to {ROUNDS} rounds [range]",
        "without us", "again (control), added", "brakit, added",
    )  # fmt: skip
    for name in ("hanging", "healthy"):
        for index, label in enumerate(("longest", "99.9 % are shorter")):
            base = [row[index] for row in measured["off"]]
            added = [[row[index] - off for row, off in zip(measured[other], base, strict=True)] for other in ("control", name)]
            sheet.row(f"{name} server: {label}", base, *added)
    sheet.show()


if __name__ == "__main__":
    asyncio.run(work())
