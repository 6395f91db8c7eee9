"""What the others cost on the same routes: the published SDK, OpenTelemetry and Sentry, each against its own environment without it."""

from __future__ import annotations

from bench import peers
from bench.parts import http, operations
from bench.processes import OFF, sink
from bench.sheet import ROUNDS, Sheet, console, rounds

ASKED_FOR = True
RUNS = max(2, ROUNDS // 2)


def measure(name: str, python: str) -> None:
    """Two tables of one peer. The sink has to have got something: silence is not speed."""
    with sink() as server:
        extras = {"off": OFF, "control": OFF, name: peers.extra(name, server.port)}
        measured = [operations.measure(extras, python) for _ in rounds(60, RUNS)]
        arrived = server.stats()
        label = peers.PEERS[name].label
        sheet = Sheet(
            f"{label}: added CPU per operation, µs, in process; {arrived['posts']:,} posts, {arrived['bytes']:,} bytes arrived",
            "the operation itself", "again (control), added", "on the app's thread", f"{label}, added",
        )  # fmt: skip
        for operation, what in operations.LABELS.items():

            def added(variant: str, index: int, operation: str = operation) -> list[float]:
                return [found[variant][operation][index] - found["off"][operation][index] for found in measured]

            sheet.row(
                what, [found["off"][operation][0] for found in measured], added("control", 0), added(name, 1), added(name, 0)
            )
        sheet.show()
        for framework in http.RATES:
            over = http.measure(framework, extras, 100, python=python, most_rounds=RUNS)
            sheet = Sheet(f"{label}: {framework} over HTTP, ratio to the same app without it", "again (control)", label)
            for path in http.PATHS:
                for what, control, theirs in zip(
                    http.FIGURES, http.ratios(over, path, "control"), http.ratios(over, path, name), strict=True
                ):
                    sheet.row(f"{path} {what}", control, theirs)
            sheet.row("CPU added per query, µs: (q50 - q1) / 49", http.per_query(over, "control"), http.per_query(over, name))
            sheet.show()


def run() -> None:
    for name, peer in peers.PEERS.items():
        try:
            python = peers.environment(name)
        except peers.NotInstallable as reason:
            console.print(f"{peer.label}: not measured, it cannot be installed here: {reason}")
            continue
        measure(name, python)
