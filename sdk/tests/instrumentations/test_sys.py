"""sys: the exception that ends the program, and those that nobody can catch."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sdk.tests.conftest import qualified

if TYPE_CHECKING:
    from brakit.client import Client

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


UNRAISABLE = """
import {brakit}
class Shelf:
    def __del__(self):
        raise LookupError("gone")
for _ in range(2):
    Shelf()
"""


def test_what_nobody_can_catch(py: Any, sink: Any) -> None:
    ran = py(UNRAISABLE.format(brakit="brakit"), BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py(UNRAISABLE.format(brakit="os"))
    assert ran.rc == plain.rc == 0
    assert _without_addresses(ran.stderr.replace("app0", "app1")) == _without_addresses(plain.stderr) != ""
    first, _ = [event["data"] for event in sink.events if event["type"] == "error"]
    assert (first["name"], first["mechanism"], first["handled"]) == ("LookupError", "unraisable", False)
    assert (first["callsite"]["function"], first["callsite"]["line"]) == (qualified("Shelf.__del__"), 5)


def _without_addresses(text: str) -> str:
    return re.sub("0x[0-9a-f]+", "0x", text)


def test_the_hooks_are_put_back(client: Client) -> None:
    hooks: list[Any] = [sys.excepthook, sys.unraisablehook]
    client.shutdown(0)
    assert [sys.excepthook, sys.unraisablehook] == [hook.__wrapped__ for hook in hooks]
