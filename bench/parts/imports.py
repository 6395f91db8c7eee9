"""What `import brakit` costs a bare interpreter."""

from __future__ import annotations

from bench.processes import OFF, on, output
from bench.sheet import ROUNDS, Sheet, most, rounds

CODE = (
    "import sys, threading, time; a = time.process_time(); {}; "
    "print((time.process_time() - a) * 1000, len(sys.modules), threading.active_count())"
)


def measure(statement: str) -> tuple[float, ...]:
    return tuple(map(float, output(["-c", CODE.format(statement)], on(9) if statement != "pass" else OFF).split()))


def run() -> None:
    bare, control, ours = [], [], []
    for _ in rounds(30, ROUNDS * 4):
        bare.append(measure("pass"))
        ours.append(measure("import brakit"))
        control.append(measure("pass"))
    sheet = Sheet(
        f"import, in a bare interpreter; median of up to {ROUNDS * 4} runs [range]", "nothing", "again (control)", "import brakit"
    )
    for index, (label, must) in enumerate((("CPU, ms", most(20)), ("modules", None), ("threads", most(1)))):
        sheet.row(label, *([row[index] for row in rows] for rows in (bare, control, ours)), must=must)
    sheet.show()
