"""Processes that emit numbered events through the real SDK: `python -m tests.accounting.producer <plan> <events> <ledger>`.

Every log and every span has the text `<pid> <number> <number of the span around it, or ->`. At its end each process sends what is
left until the SDK says that all has arrived, and writes a line into the ledger: its pid, what it is, how many it has emitted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import multiprocessing
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTLE_S = 90.0
PER_SPAN = 20
MEMBERS = {"preforked": 9, "methods": 5, "hookless": 4}
"""Processes of each plan, which share its events."""

log = logging.getLogger("accounting")
log.propagate = False
log.addHandler(logging.NullHandler())
numbers = itertools.count()


def one_span(events: int) -> None:
    """`events` events: a span, and logs inside it."""
    import brakit

    me, number = os.getpid(), next(numbers)
    with brakit.span(f"{me} {number} -"):
        for _ in range(events - 1):
            log.info("%d %d %d", me, next(numbers), number)


def in_thread(events: int, pause: float) -> None:
    for start in range(0, events, PER_SPAN):
        one_span(min(PER_SPAN, events - start))
        time.sleep(pause)


async def in_tasks(events: int, pause: float, tasks: int = 4) -> None:
    async def some(share: int) -> None:
        for start in range(0, share, PER_SPAN):
            one_span(min(PER_SPAN, share - start))
            await asyncio.sleep(pause)

    await asyncio.gather(*(some(events // tasks) for _ in range(tasks)))


def emit(events: int, pause: float = 0.3) -> None:
    """Half in threads, half in tasks of a loop."""
    log.setLevel(logging.INFO)
    one_span(2)
    threads = [threading.Thread(target=in_thread, args=(events // 8, pause)) for _ in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(in_tasks(events // 2, pause))
    for thread in threads:
        thread.join()


def settle(name: str, ledger: Path) -> None:
    """Send until nothing is left, and say how many events there were."""
    import brakit

    emitted = next(numbers)
    until = time.monotonic() + SETTLE_S
    while not (settled := brakit.flush(5)) and time.monotonic() < until:
        continue
    with ledger.open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), "name": name, "emitted": emitted, "settled": settled}) + "\n")


def work(name: str, events: int, ledger: Path) -> None:
    emit(events)
    settle(name, ledger)


def fork(inside: Callable[[], None]) -> int:
    """A child by `os.fork` that does something as a process of its own and leaves without any exit handler."""
    global numbers
    pid = os.fork()
    if pid:
        return pid
    numbers = itertools.count()
    status = 1
    try:
        inside()
        status = 0
    finally:
        os._exit(status)


def wait_for(pids: list[int]) -> None:
    failed = [pid for pid in pids if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0]
    if failed:
        sys.exit(f"children failed: {failed}")


def with_child(name: str, events: int, ledger: Path) -> None:
    """A child that has a child while its own events are on their way."""
    one_span(10)
    grandchild = fork(lambda: work("child of a fork", events, ledger))
    work(name, events, ledger)
    wait_for([grandchild])


def preforked(events: int, ledger: Path) -> None:
    """A parent that forks while its own threads emit, and a fork of a fork."""
    share = events // MEMBERS["preforked"]
    busy = threading.Thread(target=emit, args=(share,))
    busy.start()
    pids = []
    for number in range(6):
        one_span(2)
        pids.append(fork(lambda: work("forked", share, ledger)))
        if number == 3:
            pids.append(fork(lambda: with_child("forked", share, ledger)))
        time.sleep(0.05)
    busy.join()
    settle("parent of forks", ledger)
    wait_for(pids)


def methods(events: int, ledger: Path) -> None:
    """Children by every start method of multiprocessing."""
    share = events // MEMBERS["methods"]
    one_span(2)
    children = []
    for method in ("fork", "spawn", "forkserver", "spawn"):
        context: Any = multiprocessing.get_context(method)
        target = by_fork if method == "fork" else work
        children.append(context.Process(target=target, args=(f"multiprocessing {method}", share, ledger)))
    for child in children:
        child.start()
    work("parent of multiprocessing", share, ledger)
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        sys.exit(f"children failed: {[child.exitcode for child in children]}")


def by_fork(name: str, events: int, ledger: Path) -> None:
    global numbers
    numbers = itertools.count()
    work(name, events, ledger)


def hookless(events: int, ledger: Path) -> None:
    """A parent that has recorded, and whose children nobody tells that they are some (no at-fork hook of ours is registered)."""
    import brakit

    share = events // MEMBERS["hookless"]
    one_span(10)
    # A fork in the middle of our imports would switch the child off: nobody waits for them.
    brakit.flush(20)
    pids = []
    for _ in range(3):
        one_span(10)
        pids.append(fork(lambda: work("forked without hooks", share, ledger)))
    work("parent without hooks", share, ledger)
    wait_for(pids)


def main() -> None:
    plan, events, ledger = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    # Python 3.12 says that forking with threads is no good idea.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    if plan == "hookless":
        del os.register_at_fork
    import brakit

    assert brakit.client.current() is not None
    log.setLevel(logging.INFO)
    globals()[plan](events, ledger)


if __name__ == "__main__":
    main()
