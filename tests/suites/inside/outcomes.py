"""Writes how each test ends, a line of JSON for each: as a plugin of pytest, or around a script that runs unittest.

`python outcomes.py SCRIPT ARGUMENT …`, or `-m MODULE …`, is the second. SUITE_OUTCOMES names the file. A run that is ended
early has told what it did so far.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = 3000
"""Characters of a failure's text that are kept, of its end."""


def tell(id: str, outcome: str, text: str = "") -> None:
    """Append one line: O_APPEND, so that workers of a parallel run may share the file."""
    line = json.dumps({"id": id, "outcome": outcome, "text": text[-TEXT:]}) + "\n"
    file = os.open(os.environ["SUITE_OUTCOMES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode("utf-8", "backslashreplace"))
    finally:
        os.close(file)


def pytest_runtest_logreport(report: Any) -> None:
    # Workers of pytest-xdist have their reports told by the process that started them.
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if report.when == "call" or report.outcome != "passed":
        tell(report.nodeid, report.outcome, str(report.longrepr or "") if report.failed else "")


def pytest_collectreport(report: Any) -> None:
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        tell(f"{report.nodeid} (not collected)", "failed", str(report.longrepr))


def _hear(name: str, outcome: str) -> None:
    original: Callable[..., None] = getattr(unittest.TestResult, name)

    def heard(self: unittest.TestResult, test: unittest.TestCase, *rest: Any) -> None:
        original(self, test, *rest)
        error = rest[0] if rest and isinstance(rest[0], tuple) else None
        tell(test.id(), outcome, self._exc_info_to_string(error, test) if error else "")  # type: ignore[attr-defined]

    setattr(unittest.TestResult, name, heard)


def main() -> None:
    for name, outcome in (
        ("addSuccess", "passed"),
        ("addSkip", "skipped"),
        ("addExpectedFailure", "skipped"),
        ("addFailure", "failed"),
        ("addError", "failed"),
        ("addUnexpectedSuccess", "failed"),
    ):
        _hear(name, outcome)
    original = unittest.TestResult.addSubTest

    def add_sub_test(self: unittest.TestResult, test: Any, subtest: Any, error: Any) -> None:
        original(self, test, subtest, error)
        if error is not None:
            tell(test.id(), "failed", self._exc_info_to_string(error, test))  # type: ignore[attr-defined]

    unittest.TestResult.addSubTest = add_sub_test  # type: ignore[method-assign, assignment]
    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
