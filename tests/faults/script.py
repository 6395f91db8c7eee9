"""A program of its own, from `import brakit` to its end: `python -m tests.faults.script fails` or `forks`.

`FAULT` in its environment is the number of an open file, into which the lines that run are written, or the file and line of the one
that fails.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys

from tests.faults import injection, seam

injection.install()
injection.faults.left_alone = lambda line: seam.is_seam(line) or seam.is_early(line)
injection.faults.from_outside(os.environ.get("FAULT", ""))

import brakit  # noqa: E402, F401

log = logging.getLogger("app")
log.addHandler(logging.NullHandler())


def work() -> None:
    log.error("in the child")
    raise SystemExit(7)


def main() -> None:
    log.error("said")
    if sys.argv[1] == "forks":
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        print(child.exitcode, flush=True)
    else:
        print("before", flush=True)
        raise LookupError("the end")


if __name__ == "__main__":
    main()
