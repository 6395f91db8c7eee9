"""`make bench`: every figure that we quote. `python -m bench NAME …` runs some of the parts (bench/parts/)."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import time
from typing import Any

from bench import parts
from bench.processes import LOAD_CORE
from bench.sheet import console


def main(names: list[str]) -> int:
    known: dict[str, Any] = {found.name: None for found in pkgutil.iter_modules(parts.__path__)}
    unknown = [name for name in names if name not in known]
    if unknown:
        console.print(f"no such part: {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    os.sched_setaffinity(0, {LOAD_CORE})
    for name in names or known:
        part = importlib.import_module(f"bench.parts.{name}")
        if names or not getattr(part, "ASKED_FOR", False):
            started = time.monotonic()
            part.run()
            console.print(f"{name}: {time.monotonic() - started:.0f} s, load of the machine {os.getloadavg()[0]:.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
