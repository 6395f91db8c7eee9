"""After a fork: the child sends its own events over its own connection, and nothing of its parent's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sdk.tests.conftest import Py, Sink

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# From 3.12 on, Python says in `__main__` that forking with threads is no good idea, and the sender is a thread.
HEAD = """
import warnings; warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
import os, sys, time, gc
{hooks}
import brakit, logging
log = logging.getLogger("app"); log.addHandler(logging.NullHandler())
"""
NO_HOOKS = "del os.register_at_fork"


def head(hooks: bool = True) -> str:
    return HEAD.format(hooks="" if hooks else NO_HOOKS)


@pytest.mark.parametrize("hooks", [True, False], ids=["with fork hooks", "without"])
def test_parent_and_child_both_deliver(py: Py, sink: Sink, hooks: bool) -> None:
    code = head(hooks) + (
        "log.error('parent'); brakit.flush()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    log.error('child'); brakit.flush(); os._exit(0)\n"
        "os.waitpid(pid, 0); log.error('parent again')\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port))
    assert (ran.rc, ran.stderr) == (0, "")
    assert sorted(sink.messages()) == ["child", "parent", "parent again"]
    by_pid = {payload["resource"]["pid"]: [event["data"]["message"] for event in payload["events"]] for payload in sink.payloads}
    assert ["child"] in by_pid.values()
    assert len(by_pid) == 2


@pytest.mark.parametrize("hooks", [True, False], ids=["with fork hooks", "without"])
def test_a_child_has_its_own_ids_and_events_from_its_first_moment_on(py: Py, sink: Sink, hooks: bool) -> None:
    code = head(hooks) + (
        "with brakit.span('parent'): log.error('parent')\n"
        "brakit.flush(); log.error('just before')\n"
        "pids = []\n"
        "for n in range(8):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        with brakit.span('child'): log.error('child')\n"
        "        os._exit(0 if brakit.flush(10) else 9)\n"
        "    pids.append(pid)\n"
        "with brakit.span('parent'): log.error('parent')\n"
        "print({os.waitpid(pid, 0)[1] for pid in pids})\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port), timeout=60)
    assert (ran.rc, ran.stdout, ran.stderr) == (0, "{0}\n", "")
    assert sorted(sink.messages()) == ["child"] * 8 + ["just before"] + ["parent"] * 2
    ids = [event["id"] for event in sink.events] + [span["data"]["spanId"] for span in sink.of("span")]
    assert len(ids) == len(set(ids)) == 11 + 10 + 10


def test_the_childs_sender_sends_by_itself(py: Py, sink: Sink) -> None:
    code = head() + (
        "log.error('parent'); brakit.flush()\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n    log.error('child'); os.read(r, 1); os._exit(0)\n"
        "print('forked', flush=True); time.sleep(60)\n"
    )
    process = py.start(code, BRAKIT_PORT=str(sink.port))
    try:
        assert sink.wait(lambda: sorted(sink.messages()) == ["child", "parent"], 10)
    finally:
        process.kill()


@pytest.mark.parametrize("hooks", [True, False], ids=["with fork hooks", "without"])
def test_what_the_parent_has_buffered_is_the_parents_to_send(py: Py, sink: Sink, hooks: bool) -> None:
    sink.mode = "hang"
    code = head(hooks) + (
        "for n in range(30): log.error('parent %d', n)\n"
        "time.sleep(0.3)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    log.error('child'); os.write(1, b'.'); brakit.flush(20); os._exit(0)\n"
        "print('forked', flush=True)\n"
        "brakit.flush(20); os.waitpid(pid, 0)\n"
    )
    process = py.start(code, BRAKIT_PORT=str(sink.port))
    assert process.stdout is not None
    process.stdout.readline()
    sink.mode = "ok"
    sink.gate.set()
    _, stderr = process.communicate(timeout=30)
    assert stderr == ""
    assert sorted(sink.messages()) == sorted(["child", *(f"parent {n}" for n in range(30))])
    ids = [event["id"] for event in sink.events]
    assert len(ids) == len(set(ids))


def test_two_hundred_forks_while_another_thread_records(py: Py, sink: Sink) -> None:
    code = head() + (
        "import threading\n"
        "done = threading.Event()\n"
        "def busy():\n    while not done.is_set(): log.error('busy')\n"
        "thread = threading.Thread(target=busy); thread.start()\n"
        "late = 0\n"
        "for n in range(200):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n        log.error('child'); os._exit(5)\n"
        "    deadline = time.monotonic() + 5\n"
        "    while True:\n"
        "        found, status = os.waitpid(pid, os.WNOHANG)\n"
        "        if found: break\n"
        "        if time.monotonic() > deadline: late += 1; os.kill(pid, 9); os.waitpid(pid, 0); break\n"
        "        time.sleep(0.001)\n"
        "done.set(); thread.join(); print('late', late)\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port), timeout=60)
    assert (ran.rc, ran.stdout) == (0, "late 0\n"), ran.stderr


def test_children_that_flush_all_deliver(py: Py, sink: Sink) -> None:
    code = head() + (
        "log.error('parent'); brakit.flush()\n"
        "pids = []\n"
        "for n in range(20):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n        log.error('child %d', n); os._exit(0 if brakit.flush(10) else 9)\n"
        "    pids.append(pid)\n"
        "print({os.waitpid(pid, 0)[1] for pid in pids})\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port), timeout=60)
    assert ran.stdout == "{0}\n"
    assert sorted(sink.messages()) == sorted(["parent", *(f"child {n}" for n in range(20))])


def test_a_fork_after_shutdown_is_quiet(py: Py, sink: Sink) -> None:
    code = head() + (
        "log.error('x'); brakit.shutdown(); gc.collect()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    log.error('y'); brakit.flush(); os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port))
    assert (ran.stdout, ran.stderr) == ("0\n", "")
    assert sink.messages() == ["x"]


def test_warnings_as_errors_stay_quiet_in_a_child(py: Py, sink: Sink) -> None:
    code = head() + (
        "log.error('x'); brakit.flush()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    log.error('y'); brakit.flush(); gc.collect(); os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port), PYTHONWARNINGS="always::ResourceWarning")
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_a_failure_of_ours_in_a_child_switches_it_off(py: Py, sink: Sink) -> None:
    """What it has of its parent's locks are held for ever."""
    code = head() + (
        "log.error('parent'); brakit.flush()\n"
        "client, plain = brakit.client.current(), brakit.client.original\n"
        "def fail(*names): raise MemoryError(names)\n"
        "brakit.client.original = fail\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for n in range(100): log.error('child')\n"
        "    os._exit(4 if client.failures.counts == {'fork': 1} and not client.open and client.sender is None else 5)\n"
        "log.error('parent again'); brakit.flush()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port))
    assert (ran.stdout, ran.stderr) == ("4\n", "")
    assert sink.messages() == ["parent", "parent again"]


def test_a_fork_in_the_middle_of_our_imports_that_nobody_announced_switches_the_child_off(py: Py, sink: Sink) -> None:
    code = head(hooks=False) + (
        "log.error('parent'); brakit.flush()\n"
        "client = brakit.client.current(); client.importing.acquire()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for n in range(100): log.error('child')\n"
        "    os._exit(4 if not brakit.flush(20) and not client.open and client.sender is None else 5)\n"
        "client.importing.release(); log.error('parent again')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port))
    assert (ran.stdout, ran.stderr) == ("4\n", "")
    assert sink.messages() == ["parent", "parent again"]
