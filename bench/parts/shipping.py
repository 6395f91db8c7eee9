"""What an event costs on the sender's thread, step by step, and how long it is on the wire: CPU of real records, taken from the buffer.

The sender itself is asleep meanwhile; the records are those that the app of the bench leaves behind.
"""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else variants.off()

import gc  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

from bench.processes import on, running, sink  # noqa: E402

TURNS = 8
BATCH = 512
LABELS = {"query": "query (SQLAlchemy ORM)", "request": "request (FastAPI)", "log": "log record", "mix": "/q1 with its query"}
STEPS = ("take", "encode", "put together")


def log(number: int) -> None:
    logger = logging.getLogger("bench.shipping")
    for index in range(number):
        logger.warning("item %s was read by %s", index, "somebody")


def emitters() -> dict[str, Callable[[], None]]:
    """What leaves events of a kind behind; of those of other kinds there are few."""
    from bench.apps import fastapi_app
    from bench.parts.operations import Calls

    calls = Calls(fastapi_app())
    hello, q1, q50 = (calls.many(path) for path in ("/hello", "/q1", "/q50"))
    return {
        "query": lambda: q50(20),
        "request": lambda: hello(1000),
        "log": lambda: log(1000),
        "mix": lambda: q1(500),
    }


def work() -> None:
    """Prints JSON: for each kind, microseconds an event for each step, and bytes an event."""
    import brakit.client

    client = brakit.client.current()
    assert client is not None
    found: dict[str, Any] = {}
    for name, emit in emitters().items():
        emit()
        flush()
        # Whoever holds it ships.
        with client.sender.lock:
            turns = [measured(client, emit) for _ in range(TURNS)]
        found[name] = [min(step) for step in zip(*turns, strict=True)]
    print(json.dumps(found))


def measured(client: Any, emit: Callable[[], None]) -> list[float]:
    """Microseconds an event: taken out of the buffer, encoded, put together; bytes."""
    from brakit.buffer import SLICE
    from brakit.transport import Batch

    client.buffer.take(10**6)
    emit()
    gc.collect()
    slices, pieces = [], []
    times = [time.thread_time()]
    while taken := client.buffer.take(SLICE):
        slices.append(taken)
    times.append(time.thread_time())
    for taken in slices:
        pieces += client.sender.wire.pieces(taken)[0]
    times.append(time.thread_time())
    batches = [Batch("0" * 32, {}, pieces[at : at + BATCH], {}).bytes(True) for at in range(0, len(pieces), BATCH)]
    times.append(time.thread_time())
    steps = [(end - start) * 1e6 for start, end in itertools.pairwise(times)]
    return [figure / len(pieces) for figure in (*steps, sum(map(len, batches)))]


def run() -> None:
    from bench.sheet import ROUNDS, Sheet, most, rounds

    told = []
    with sink() as server:
        for _ in rounds(60, max(2, ROUNDS // 2)):
            with running(["-m", "bench.parts.shipping"], on(server.port)) as process:
                assert process.stdout is not None
                told.append(json.loads(process.stdout.read()))
    sheet = Sheet("an event on the sender's thread, µs of CPU, and its bytes on the wire", "bytes", *STEPS, "in all")
    musts = {"query": most(3), "request": most(5), "log": most(1.5), "mix": None}
    for name, label in LABELS.items():
        rows = [found[name] for found in told]
        columns = [[row[index] for row in rows] for index in (3, 0, 1, 2)]
        sheet.row(label, *columns, [sum(row[:3]) for row in rows], must=musts[name])
    sheet.show()


if __name__ == "__main__":
    work()
