"""Last words of a child that leaves through os._exit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sdk.tests.conftest import Py, Sink

CODE = """
import brakit, logging, multiprocessing, multiprocessing.util, sys
log = logging.getLogger("app")
log.addHandler(logging.NullHandler())

def finalizer():
    log.error("finalizer")

def work():
    multiprocessing.util.Finalize(None, finalizer, exitpriority=1)
    log.error("work")
    if sys.argv[2] == "fails":
        raise SystemExit(7)

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start()
    child.join()
    print(child.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(("end", "code"), [("well", 0), ("fails", 7)])
def test_what_a_child_did_last_arrives_and_its_exit_code_stays(py: Py, sink: Sink, method: str, end: str, code: int) -> None:
    ran = py(CODE, method, end, BRAKIT_PORT=str(sink.port))
    assert ran.stdout == f"{code}\n", ran.stderr
    assert sink.messages() == (["work", "finalizer"] if method == "fork" or sys.version_info < (3, 13) else ["work"])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_server_that_hangs_does_not_hold_a_child_up_for_long(py: Py, sink: Sink, method: str) -> None:
    sink.mode = "hang"
    ran = py(CODE, method, "well", BRAKIT_PORT=str(sink.port))
    assert ran.stdout == "0\n"
    assert ran.seconds < 4
