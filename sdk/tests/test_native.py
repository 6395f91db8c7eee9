"""The interpreter's own threads and locks, with and without gevent in their place."""

from __future__ import annotations

import _thread
import ctypes
import os
import queue
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from brakit import native

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = [("_thread", "allocate_lock"), ("queue", "SimpleQueue"), ("time", "sleep"), ("socket", "socket")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("make", [native.fork_mark, native.Mark])
def test_a_mark_is_gone_in_a_child_however_it_was_forked(make: Callable[[], Any]) -> None:
    mark = make()
    assert mark[0] == 0
    mark[0] = 1
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        before, mark[0] = mark[0], 1
        os._exit(10 * before + mark[0])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert mark[0] == 1


def test_where_the_system_wipes_memory_nothing_is_asked() -> None:
    wipes = sys.platform == "linux" and tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (4, 14)
    assert (type(native.fork_mark()) is not native.Mark) == wipes


def test_without_gevent_they_are_what_they_are() -> None:
    found = [native.original(module, name) for module, name in NAMES]
    assert found == [_thread.allocate_lock, queue.SimpleQueue, time.sleep, socket.socket]
    assert all(native.is_original(module, name) for module, name in NAMES)


def test_a_thread_has_its_name_and_holds_nothing_up() -> None:
    seen: list[threading.Thread] = []
    done = threading.Event()

    def run() -> None:
        seen.append(threading.current_thread())
        done.set()

    native.start_thread(run, "tests-native")
    assert done.wait(10)
    assert (seen[0].name, seen[0].daemon) == ("tests-native", True)


CODE = """
import sys, _thread, queue, socket, time
before = [_thread.allocate_lock, queue.SimpleQueue, time.sleep, socket.socket]
from gevent import monkey
monkey.patch_all()
from brakit import native
names = [("_thread", "allocate_lock"), ("queue", "SimpleQueue"), ("time", "sleep"), ("socket", "socket")]
print([native.original(*name) for name in names] == before, [native.is_original(*name) for name in names])
idents = []
lock = native.original("_thread", "allocate_lock")()
lock.acquire()
def run():
    idents.append(native.original("_thread", "get_ident")())
    lock.release()
native.start_thread(run, "")
lock.acquire()
print(idents[0] != native.original("_thread", "get_ident")())
"""


def test_with_gevent_they_are_what_they_were(py: Any) -> None:
    pytest.importorskip("gevent")
    ran = py(CODE, BRAKIT_ENABLE="0")
    assert ran.stdout == "True [False, False, False, False]\nTrue\n", ran.stderr
