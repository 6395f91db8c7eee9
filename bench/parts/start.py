"""CPU until an app is ready, and until it has answered its first request and all is sent: FastAPI and Flask, in process."""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else variants.off()

import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

from bench.processes import OFF, on, running, sink  # noqa: E402

Measured = dict[str, list[tuple[float, float]]]


def work(framework: str) -> None:
    from bench.apps import APPS

    app = APPS[framework]()
    ready = time.process_time()
    if framework == "flask":
        app.test_client().get("/hello")
    else:
        from bench.parts.operations import Calls

        Calls(app).many("/hello")(1)
    flush()
    print(ready * 1000, time.process_time() * 1000, flush=True)


def measure(framework: str, extra: dict[str, str], python: str = sys.executable) -> tuple[float, float]:
    """Milliseconds until ready, and until the first request is over."""
    with running(["-m", "bench.parts.start", framework], extra, python=python) as process:
        assert process.stdout is not None
        ready, answered = map(float, process.stdout.readline().split())
        return ready, answered


def run() -> None:
    from bench.sheet import ROUNDS, Sheet, most, rounds

    sheet = Sheet(
        f"added CPU at start-up, ms; median of up to {ROUNDS * 2} runs [range]",
        "without us",
        "again (control), added",
        "brakit, added",
    )
    with sink() as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # The first run makes the database; the others find it, and record nothing before their first request.
        kept = {"BENCH_FOLDER": folder}
        extras = {"off": OFF | kept, "control": OFF | kept, "brakit": on(server.port) | kept}
        for framework in ("fastapi", "flask"):
            measure(framework, extras["off"])
            measured: Measured = {name: [] for name in extras}
            for _ in rounds(25, ROUNDS * 2):
                for name, extra in extras.items():
                    measured[name].append(measure(framework, extra))
            for index, label in enumerate(("ready", "first request answered and sent")):
                base = [row[index] for row in measured["off"]]
                added = [
                    [row[index] - off for row, off in zip(measured[name], base, strict=True)] for name in ("control", "brakit")
                ]
                sheet.row(f"{framework}, {label}", base, *added, must=most(20) if index == 0 else None)
    sheet.show()


if __name__ == "__main__":
    work(sys.argv[1])
