"""`make bench`: every figure that we quote. `python -m bench NAME …` runs some of: import, operations, http, trouble, ingest."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.ingest import BATCH, batches
from bench.load import Result, drive, get, post
from bench.processes import APP_CORE, LOAD_CORE, OFF, on, output, pinned, serving

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
console = Console(width=110)


def middle(values: list[float]) -> str:
    """Median with the range over the rounds."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}–{max(values):.2f}]"


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right")
    return made


def imports() -> None:
    """What `import brakit` costs a bare interpreter."""
    code = (
        "import sys, threading, time; a = time.process_time(); {}; "
        "print((time.process_time() - a) * 1000, len(sys.modules), threading.active_count())"
    )
    runs: dict[str, list[list[float]]] = {"nothing": [], "nothing, again (control)": [], "import brakit": []}
    for _ in range(ROUNDS * 4):
        for name in runs:
            text = output(["-c", code.format("import brakit" if "brakit" in name else "pass")], {"BRAKIT_ENABLE": "1"})
            runs[name].append([float(part) for part in text.split()])
    made = table("import, in a bare interpreter", "program", "CPU ms, median", "modules", "threads")
    for name, rows in runs.items():
        made.add_row(
            name, *(f"{statistics.median(column):.{2 if i == 0 else 0}f}" for i, column in enumerate(zip(*rows, strict=True)))
        )
    console.print(made)


def operations() -> None:
    """Added CPU per operation, in process, encoding and sending included."""
    added: dict[str, list[dict[str, float]]] = {"control": [], "brakit": []}
    base: list[dict[str, float]] = []
    inline: list[dict[str, float]] = []
    names = ("request", "q1", "q50", "fetch", "log")
    with serving(["-m", "bench.sink", "ok"], {}, LOAD_CORE) as port:
        for _ in range(ROUNDS):
            off, again, with_us, with_us_inline, off_inline = {}, {}, {}, {}, {}
            for name in names:
                first = json.loads(output(["-m", "bench.operations", name], OFF))
                ours = json.loads(output(["-m", "bench.operations", name], on(port)))
                off[name], with_us[name] = first["total"], ours["total"]
                off_inline[name], with_us_inline[name] = first["inline"], ours["inline"]
                again[name] = json.loads(output(["-m", "bench.operations", name], OFF))["total"]
            base.append(off)
            added["control"].append({name: again[name] - off[name] for name in names})
            added["brakit"].append({name: with_us[name] - off[name] for name in names})
            inline.append({name: with_us_inline[name] - off_inline[name] for name in names})
    made = table(
        f"added CPU per operation, µs, in process, shipping included; median of {ROUNDS} rounds [range]",
        "operation", "the operation itself", "without us, again (control)", "with brakit", "of it on the app's thread",
    )  # fmt: skip

    def figures(rows: list[dict[str, float]], name: str) -> list[float]:
        return [(row["q50"] - row["q1"]) / 49 if name == "query" else row[name] for row in rows]

    for name, label in (
        ("request", "request (FastAPI)"),
        ("query", "query (SQLAlchemy)"),
        ("fetch", "fetch (httpx)"),
        ("log", "log record"),
    ):
        made.add_row(label, *(middle(figures(rows, name)) for rows in (base, added["control"], added["brakit"], inline)))
    console.print(made)


def compare(framework: str, path: str, variants: dict[str, dict[str, str]], seconds: float) -> dict[str, list[Result]]:
    """Load on one path of the app in each variant, interleaved over the rounds."""
    results: dict[str, list[Result]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, extra in variants.items():
            with serving(["-m", "bench.apps", framework], extra) as port:
                drive(port, [get(path)], 0.5)
                results[name].append(drive(port, [get(path)], seconds))
    return results


def ratios(results: dict[str, list[Result]], made: Table, label: str) -> None:
    """One row a variant: its ratios to the first variant within each round."""
    base, *_ = results.values()
    for name, runs in list(results.items())[1:]:
        pairs = list(zip(runs, base, strict=True))
        made.add_row(
            f"{label}, {name}",
            middle([run.rate / off.rate for run, off in pairs]),
            middle([run.percentile(0.5) / off.percentile(0.5) for run, off in pairs]),
            middle([run.percentile(0.99) / off.percentile(0.99) for run, off in pairs]),
            str(sum(run.failures for run in runs)),
        )


def http() -> None:
    """Throughput and latency of an app under load, server there."""
    made = table(
        f"over HTTP, ratio to the same app without us; median of {ROUNDS} rounds [range]",
        "app",
        "requests/s",
        "p50",
        "p99",
        "errors",
    )
    with serving(["-m", "bench.sink", "ok"], {}, LOAD_CORE) as port:
        for framework in ("fastapi", "flask"):
            for path in ("/hello", "/q1", "/q50"):
                variants = {"off": OFF, "off again (control)": OFF, "brakit": on(port)}
                ratios(compare(framework, path, variants, SECONDS), made, f"{framework} {path}")
    console.print(made)


def trouble() -> None:
    """The same when the server is healthy, absent, hangs, or answers after half a second: none of it may hold the app up."""
    made = table(
        f"a server in trouble: FastAPI /q1, ratio to the same app without us; median of {ROUNDS} rounds [range]",
        "server", "requests/s", "p50", "p99", "errors",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        healthy = stack.enter_context(serving(["-m", "bench.sink", "ok"], {}, LOAD_CORE))
        hang = stack.enter_context(serving(["-m", "bench.sink", "hang"], {}, LOAD_CORE))
        slow = stack.enter_context(serving(["-m", "bench.sink", "slow"], {}, LOAD_CORE))
        variants = {
            "off": OFF,
            "off again (control)": OFF,
            "healthy": on(healthy),
            "absent": on(9),
            "hanging": on(hang),
            "slow": on(slow),
        }
        ratios(compare("fastapi", "/q1", variants, SECONDS * 1.5), made, "server")
    console.print(made)


@contextlib.contextmanager
def brakit_server(folder: str) -> Iterator[int]:
    """The real server on the app's core; yields its port."""
    process = subprocess.Popen(
        [*pinned(APP_CORE), "-m", "brakit_server.cli", "serve", "--port", "0", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        file = Path(folder) / "port"
        while not file.exists():
            assert process.poll() is None, "the server did not start"
            time.sleep(0.05)
        yield int(file.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def ingest() -> None:
    """Events per second, durable, against an endpoint that only reads the body."""
    requests = [post("/__brakit/api/ingest", body) for body in batches(200)]
    rates: dict[str, list[float]] = {"bare": [], "control": [], "brakit": []}
    stored: list[int] = []
    for _ in range(ROUNDS):
        for name in ("bare", "control"):
            with serving(["-m", "bench.ingest"], {}) as port:
                drive(port, requests, 0.3, 8)
                rates[name].append(drive(port, requests, SECONDS, 8).rate * BATCH)
        with tempfile.TemporaryDirectory() as folder, brakit_server(folder) as port:
            drive(port, requests, 0.3, 8)
            result = drive(port, requests, SECONDS, 8)
            rates["brakit"].append(result.rate * BATCH)
            assert result.failures == 0, f"{result.failures} batches were refused"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/__brakit/api/status") as answer:
                stored.append(sum(json.load(answer)["events"].values()))
    made = table(
        f"ingest, batches of {BATCH} mixed events, one core; median of {ROUNDS} rounds [range]",
        "server",
        "events/s",
        "ratio to bare",
    )
    for name, label in (
        ("bare", "bare: reads the body"),
        ("control", "bare, again (control)"),
        ("brakit", "brakit: stored and analysed"),
    ):
        made.add_row(
            label,
            f"{statistics.median(rates[name]):,.0f}",
            middle([rate / bare for rate, bare in zip(rates[name], rates["bare"], strict=True)]),
        )
    console.print(made)
    console.print(f"events in the store after a round: {statistics.median(stored):,.0f}")


PARTS = {"import": imports, "operations": operations, "http": http, "trouble": trouble, "ingest": ingest}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        console.print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    os.sched_setaffinity(0, {LOAD_CORE})
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
