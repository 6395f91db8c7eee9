"""What the server stores, against receivers on the same uvicorn (bench/receivers.py): rates, CPU per event, p99 at half load.

Everybody gets the same events; ours also as our SDK sends them, in parts. CPU is that of all threads of the process, in user and kernel
mode, until what came is stored and judged: with other work on the machine, its ratios hold where those of rates do not.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import Result, drive, get
from bench.pace import paced
from bench.payloads import AHEAD_MS, Mix, captured, mixed
from bench.processes import APP_CORE, Process, end, environment, pinned, serving
from bench.sheet import SECONDS, Sheet, console, least, rounds

CONNECTIONS = 8
POSTS = 3000
WARM = 200


@contextlib.contextmanager
def brakit_server(folder: str, *arguments: str) -> Iterator[Process]:
    """The real server on the app's core, from the command line, or by `arguments`."""
    process = subprocess.Popen(
        [*pinned(APP_CORE), *(arguments or ("-m", "brakit_server.cli", "serve", "--port", "0", "--dir", folder))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment({}),
    )
    try:
        file = Path(folder) / "port"
        while not file.exists():
            assert process.poll() is None, "the server did not start"
            time.sleep(0.05)
        yield Process(process.pid, int(file.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        end(process, 20)


@contextlib.contextmanager
def receiver(name: str) -> Iterator[Process]:
    """One of them by name; `brakit` is the real server."""
    if name != "brakit":
        with serving(["-m", "bench.receivers", name]) as process:
            yield process
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, brakit_server(folder) as process:
        yield process


def saturate(process: Process, mix: Mix) -> Result:
    """As much as it takes; its CPU runs until it has nothing left to do."""
    drive(process.port, mix.requests(WARM), 0.3, CONNECTIONS)
    process.quiet()
    requests = mix.requests(POSTS)
    before = process.cpu()
    result = drive(process.port, requests, SECONDS, CONNECTIONS)
    process.quiet(10)
    result.cpu = process.cpu() - before
    assert result.failures == 0, f"{result.failures} POSTs were refused: {dict(result.refusals)}"
    return result


class Figures:
    """Of one receiver and one kind of payload, over the rounds."""

    def __init__(self) -> None:
        self.rate: list[float] = []
        self.cpu: list[float] = []
        self.half: list[float] = []

    def add(self, mix: Mix, result: Result) -> None:
        """Events per second; microseconds of CPU per event."""
        self.rate.append(result.rate * mix.events)
        self.cpu.append(result.cpu_each / mix.events)


def over(numerators: list[float], denominators: list[float]) -> list[float]:
    return [one / other for one, other in zip(numerators, denominators, strict=True)]


@contextlib.contextmanager
def dashboard(port: int) -> Iterator[None]:
    """An open dashboard: asks for what ours asks for, and reads all that it is sent."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(get("/__brakit/api/events?batch=1"))
    assert connection.recv(65536).startswith(b"HTTP/1.1 200"), "the stream did not open"

    def read() -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        thread.join()
        connection.close()


def watched(mix: Mix, analysis: str, watching: bool) -> tuple[Result, list[int], int]:
    """Ours with or without its analysis and an open dashboard: what it took, how many requests waited to be judged in each tenth of a
    second, and how many were given up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with (
            brakit_server(folder, "-m", "bench.receivers", "server", analysis, folder) as process,
            dashboard(process.port) if watching else contextlib.nullcontext(),
        ):
            result = saturate(process, mix)
        told = json.loads((Path(folder) / "backlog.json").read_text())
        return result, told["waiting"], told["given_up"]


def run() -> None:
    plain = mixed(ahead_ms=AHEAD_MS)
    shared, unshared = captured(ahead_ms=AHEAD_MS)
    cells: dict[str, tuple[str, Mix]] = {
        "bare": ("bare", plain),
        "control": ("bare", plain),
        "decode": ("decode", plain),
        "commit": ("commit", plain),
        "brakit": ("brakit", plain),
        "commit, SDK's": ("commit", unshared),
        "brakit, SDK's": ("brakit", unshared),
        "brakit, SDK's in parts": ("brakit", shared),
    }
    figures = {name: Figures() for name in cells}
    stored: list[int] = []
    for _ in rounds(150):
        for name, (program, mix) in cells.items():
            with receiver(program) as process:
                result = saturate(process, mix)
                figures[name].add(mix, result)
                if name == "brakit":
                    stored.append(sum(json.loads(process.ask("/__brakit/api/status"))["events"].values()))
                if name in ("commit", "brakit"):
                    rate = result.rate / 2
                    half = paced(process.port, mix.requests(int(rate * SECONDS)), rate, SECONDS)
                    assert half.failures == 0, f"{half.failures} POSTs were refused: {dict(half.refusals)}"
                    figures[name].half.append(half.percentile(0.99))
    show(figures, plain, shared, unshared)
    console.print(f"events in the store after a round of mixed events: {statistics.median(stored):,.0f}\n")
    extras(plain)


def show(figures: dict[str, Figures], plain: Mix, shared: Mix, unshared: Mix) -> None:
    bare, control, decode, commit, ours = (figures[name] for name in ("bare", "control", "decode", "commit", "brakit"))
    sheet = Sheet(
        f"ingest, {plain.events:.0f} mixed events a POST ({plain.bytes_each:.0f} bytes each), one core",
        "bare: reads the body", "again (control)", "+ typed decode", "+ naive commit", "brakit: stored, judged",
    )  # fmt: skip
    sheet.row("events/s", bare.rate, control.rate, decode.rate, commit.rate, ours.rate)
    sheet.row("CPU per event, µs", bare.cpu, control.cpu, decode.cpu, commit.cpu, ours.cpu)
    sheet.row("rate, ratio to naive commit", *(over(of.rate, commit.rate) for of in (bare, control, decode)), None,
              over(ours.rate, commit.rate), must=least(1.5))  # fmt: skip
    sheet.row("CPU of naive commit : its own", *(over(commit.cpu, of.cpu) for of in (bare, control, decode)), None,
              over(commit.cpu, ours.cpu), must=least(1.5))  # fmt: skip
    sheet.row("p99 at half its rate, ms", None, None, None, commit.half, ours.half)
    sheet.show()
    theirs, whole, parts = (figures[name] for name in ("commit, SDK's", "brakit, SDK's", "brakit, SDK's in parts"))
    sheet = Sheet(
        f"what our SDK sent, {shared.events:.0f} events a POST of {unshared.bytes_each:.0f} bytes, in parts of {shared.bytes_each:.0f}",
        "naive commit, whole", "brakit, whole", "brakit, in parts",
    )  # fmt: skip
    sheet.row("events/s", theirs.rate, whole.rate, parts.rate)
    sheet.row("CPU per event, µs", theirs.cpu, whole.cpu, parts.cpu)
    sheet.row("rate, ratio to naive commit", None, over(whole.rate, theirs.rate), over(parts.rate, theirs.rate), must=least(1.5))
    sheet.row("CPU of naive commit : its own", None, over(theirs.cpu, whole.cpu), over(theirs.cpu, parts.cpu), must=least(1.5))
    sheet.show()


def extras(mix: Mix) -> None:
    """What analysis and an open dashboard cost."""
    variants = {"off": ("off", False), "analysis": ("analysis", False), "dashboard": ("analysis", True)}
    figures = {name: Figures() for name in variants}
    lines: list[str] = []
    for _ in rounds(60, 2):
        for name, (analysis, watching) in variants.items():
            result, waiting, given_up = watched(mix, analysis, watching)
            figures[name].add(mix, result)
            if name != "off":
                lines.append(f"{name}: {flat(waiting)}, {given_up} given up")
    off, on, watched_too = (figures[name] for name in variants)
    sheet = Sheet("the same events: what analysis and an open dashboard cost", "analysis off", "analysis", "and a dashboard")
    sheet.row("events/s", off.rate, on.rate, watched_too.rate)
    sheet.row("CPU per event, µs", off.cpu, on.cpu, watched_too.cpu)
    sheet.row("rate, ratio to analysis off", None, over(on.rate, off.rate), over(watched_too.rate, off.rate), must=least(0.9))
    sheet.show()
    for line in lines:
        console.print(f"requests waiting to be judged, {line}")


def flat(waiting: list[int]) -> str:
    """Whether the line of what waits grows: its middle in the first and in the second half of the time under load."""
    loaded = waiting[: max((index for index, number in enumerate(waiting) if number), default=0) + 1]
    half = len(loaded) // 2
    if half == 0:
        return "none"
    first, second = statistics.median(loaded[:half]), statistics.median(loaded[half:])
    return f"middle {first:,.0f} in the first half, {second:,.0f} in the second, at most {max(loaded):,}"
