"""A dashboard that is open: reads the stream of events, in batches, and takes down when they became visible."""

from __future__ import annotations

import asyncio
import re
import threading
import time

_STARTED = re.compile(rb'"timestamp":([0-9.]+)')


class Watcher:
    """One open stream, read in a thread of its own. `delays`: of each message, milliseconds from its oldest event's `timestamp` to when
    it was read. What it reads is not parsed, so that the one that sends has the processor."""

    def __init__(self, port: int, query: str = "?batch=1") -> None:
        self.delays: list[float] = []
        self.shown = 0
        self.resyncs = 0
        self._open = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch(port, query)))
        self._thread.start()
        self._open.wait(10)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _watch(self, port: int, query: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        writer.write(f"GET /__brakit/api/events{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        name = ""
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(0.5):
                    line = await reader.readline()
            except TimeoutError:
                continue
            if not line:
                break
            self._open.set()
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
                self.resyncs += name == "resync"
            elif line.startswith(b"data: ") and name == "batch":
                now = time.time() * 1000
                self.shown += line.count(b'"timestamp":')
                oldest = _STARTED.search(line)
                assert oldest is not None
                self.delays.append(now - float(oldest[1]))
        writer.close()
