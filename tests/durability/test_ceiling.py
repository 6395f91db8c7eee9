"""A server that may have 512 MB and is sent as much as it takes: it asks senders to wait, is read from, and is not killed.

`BRAKIT_LONG=1` goes on for ten minutes.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.serving import INGEST, Server, log, payload

SECONDS = 600 if os.environ.get("BRAKIT_LONG") == "1" else 6
MEMORY = 512 * 1024 * 1024
CEILING = 160_000_000
GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes may have 512 MB together, swap included where there is any."""
    made = GROUPS / f"brakit-{os.getpid()}"
    try:
        made.mkdir()
        (made / "memory.limit_in_bytes").write_text(str(MEMORY))
    except OSError as error:
        pytest.skip(f"this user or system makes no control groups of memory: {error}")
    yield made
    deadline = time.monotonic() + 10
    while (made / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    made.rmdir()


@pytest.mark.timeout(SECONDS + 240)
def test_it_is_not_killed_for_want_of_memory(group: Path, tmp_path: Path, say: Callable[[str], None]) -> None:
    def join() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    server = Server(tmp_path / "data", "--max-memory", str(CEILING), "--max-bytes", "50000000", limit=join)
    statuses: Counter[int] = Counter()
    until = time.monotonic() + SECONDS
    bodies = [payload([log(f"{place} " + "x" * 900) for place in range(size)]) for size in (20, 2_000, 8_000)]

    def send(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < until:
            try:
                connection.request("POST", INGEST, bodies[number % len(bodies)], {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                # It is told to wait before it has sent all, and does not listen while it sends.
                statuses[503] += 1
                connection.close()
                continue
            statuses[answer.status] += 1
            if answer.status == 503:
                assert answer.headers["retry-after"]
                connection.close()
        connection.close()

    try:
        senders = [threading.Thread(target=send, args=(number,)) for number in range(12)]
        for sender in senders:
            sender.start()
        reads = 0
        while time.monotonic() < until:
            assert server.call("GET", "/__brakit/api/logs?limit=5")[0] == 200
            reads += 1
            time.sleep(0.2)
        for sender in senders:
            sender.join(90)
        assert server.process.poll() is None
        killed = dict(line.split() for line in (group / "memory.oom_control").read_text().splitlines())["oom_kill"]
        most = int((group / "memory.max_usage_in_bytes").read_text())
        assert killed == "0"
        assert set(statuses) <= {204, 503}
        assert statuses[204] > 5
        deadline = time.monotonic() + 30
        while server.post(payload([log("after")], "after")) != 204:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert server.get("logs?search=after&limit=1")["entries"][0]["message"] == "after"
        say(
            f"512 MB in a control group, {SECONDS} s of 12 senders: {statuses[204]} batches taken, {statuses[503]} asked to wait, "
            f"{reads} reads, {most / 1e6:.0f} MB at most (the system's cache of files included), killed 0 times"
        )
    finally:
        server.end()
