"""sys: the exception that ends the program."""

from __future__ import annotations

from typing import Any

import pytest

CODE = """
import {brakit}
def load(shelf):
    return {{}}[shelf]
load("missing")
"""


def test_the_exception_that_ends_the_program(py: Any, sink: Any) -> None:
    ran = py(CODE.format(brakit="brakit"), BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py(CODE.format(brakit="os"))
    assert ran.rc == plain.rc == 1
    assert ran.stderr.replace("app0", "app1") == plain.stderr
    [error] = [event for event in sink.events if event["type"] == "error"]
    data = error["data"]
    assert (data["name"], data["mechanism"], data["handled"]) == ("KeyError", "main", False)
    assert (data["callsite"]["function"], data["callsite"]["line"]) == ("load", 4)
    assert data["frames"][-1]["code"][3].strip() == "return {}[shelf]"


@pytest.mark.parametrize("statement", ["raise SystemExit(4)", "raise KeyboardInterrupt"])
def test_leaving_is_no_error(py: Any, sink: Any, statement: str) -> None:
    ran = py(f"import brakit\n{statement}", BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py(statement)
    assert ran.rc == plain.rc
    assert sink.events == []
