"""What the others cost on the same routes: the published SDK, OpenTelemetry and Sentry, each against its own environment without it.

We run in each of these environments as well, beside the peer: same routes, same releases of the libraries, same rounds.
"""

from __future__ import annotations

import os

from bench import peers
from bench.parts import http, operations
from bench.processes import OFF, ROOT, Process, on, sink
from bench.sheet import ROUNDS, Sheet, console, rounds

ASKED_FOR = True
RUNS = max(2, ROUNDS // 2)
OURS = "ours"


def ours(port: int) -> dict[str, str]:
    """The environment of an app with us, from the sources: a peer's environment has not installed us, or has an old release of ours."""
    return {**on(port), "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "sdk/src")))}


def arrived(server: Process) -> str:
    told = server.stats()
    return f"{told['posts']:,} posts, {told['bytes']:,} bytes"


def measure(name: str, python: str) -> None:
    """The tables of one peer. Both sinks have to have got something: silence is not speed."""
    with sink() as theirs, sink() as server:
        extras = {"off": OFF, "control": OFF, name: peers.extra(name, theirs.port), OURS: ours(server.port)}
        measured = [operations.measure(extras, python) for _ in rounds(60, RUNS)]
        label = peers.PEERS[name].label
        sheet = Sheet(
            f"{label}: added CPU per operation, µs, in process; arrived: {arrived(theirs)}; of ours: {arrived(server)}",
            "the operation itself", "again (control)", f"{label}, thread", label, "brakit, thread", "brakit",
        )  # fmt: skip
        for operation, what in operations.LABELS.items():

            def added(variant: str, index: int, operation: str = operation) -> list[float]:
                return [found[variant][operation][index] - found["off"][operation][index] for found in measured]

            bare = [found["off"][operation][0] for found in measured]
            sheet.row(what, bare, added("control", 0), added(name, 1), added(name, 0), added(OURS, 1), added(OURS, 0))
        sheet.show()
        for framework in http.RATES:
            over = http.measure(framework, extras, 100, python=python, most_rounds=RUNS)
            sheet = Sheet(f"{label}: {framework} over HTTP, ratio to the same app without it", "again (control)", label, "brakit")
            for path in http.PATHS:
                columns = [http.ratios(over, path, variant) for variant in ("control", name, OURS)]
                for what, *ratios in zip(http.FIGURES, *columns, strict=True):
                    sheet.row(f"{path} {what}", *ratios)
            added_each = [http.per_query(over, variant) for variant in ("control", name, OURS)]
            sheet.row("CPU added per query, µs: (q50 - q1) / 49", *added_each)
            sheet.show()


def run() -> None:
    for name, peer in peers.PEERS.items():
        try:
            python = peers.environment(name)
        except peers.NotInstallable as reason:
            console.print(f"{peer.label}: not measured, it cannot be installed here: {reason}")
            continue
        measure(name, python)
