"""How much longer a process takes to end, with 5 000 events that are not sent yet and a server in each temper."""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else variants.off()

import contextlib  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from bench.processes import ABSENT, OFF, on, running, sink  # noqa: E402

EVENTS = 5_000


def work() -> None:
    logger = logging.getLogger("bench.exit")
    logger.addHandler(logging.NullHandler())
    logger.warning("the first one starts the sender")
    time.sleep(0.3)
    for index in range(EVENTS):
        logger.warning("event %d", index)
    print(time.monotonic(), flush=True)


def measure(extra: dict[str, str]) -> float:
    """Milliseconds from the last line of the program to the end of its process."""
    with running(["-m", "bench.parts.exit"], extra) as process:
        assert process.stdout is not None
        last = float(process.stdout.readline())
        process.wait(60)
        return (time.monotonic() - last) * 1000


def run() -> None:
    from bench.sheet import ROUNDS, Sheet, most, rounds

    measured: dict[str, list[float]] = {}
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
        for _ in rounds(40):
            for name, extra in extras.items():
                measured.setdefault(name, []).append(measure(extra))

    def added(name: str) -> list[float]:
        return [ours - off for ours, off in zip(measured[name], measured["off"], strict=True)]

    sheet = Sheet(
        f"time at exit with {EVENTS:,} events to send, ms; median of up to {ROUNDS} rounds [range]",
        "without us", "again (control), added", "brakit, added",
    )  # fmt: skip
    for name in ("healthy", "absent", "hanging", "slow"):
        sheet.row(f"{name} server", measured["off"], added("control"), added(name), must=most(500))
    sheet.show()


if __name__ == "__main__":
    work()
    sys.exit(0)
